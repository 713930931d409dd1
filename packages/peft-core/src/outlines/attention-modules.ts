import type { OutlineBuilder } from './outline.ts';

/** The sizes of attention, and the form of its modules. */
interface AttentionForm {
  hiddenSize: number;
  heads: number;
  kvHeads: number;
  headSize: number;
  queryKeyNorms: 'head' | 'projection' | null;
  fused: boolean;
  outputGate: boolean;
  sinks: boolean;
}

/** Adds the modules of an attention of a decoder. */
export function addAttention(
  all: OutlineBuilder,
  path: string,
  model: AttentionForm,
  bias: { qkv: boolean; output: boolean },
): void {
  const { hiddenSize: H, heads, kvHeads, headSize: D, queryKeyNorms } = model;
  const widths = [heads * D, kvHeads * D, kvHeads * D];
  if (model.sinks) all.parameter(`${path}.sinks`, [heads]);
  if (model.fused) {
    all
      .linear(`${path}.o_proj`, H, heads * D, { bias: bias.output })
      .fusedLinear(`${path}.qkv_proj`, widths, H, { bias: bias.qkv });
    return;
  }
  if (model.outputGate) widths[0]! *= 2;
  const names = ['q_proj', 'k_proj', 'v_proj'].map((name) => `${path}.${name}`);
  for (const [i, name] of names.entries()) all.linear(name, widths[i]!, H, { bias: bias.qkv });
  all.stack(...names);
  all.linear(`${path}.o_proj`, H, heads * D, { bias: bias.output });
  if (queryKeyNorms) {
    const perHead = queryKeyNorms === 'head';
    all.norm(`${path}.q_norm`, perHead ? D : heads * D).norm(`${path}.k_norm`, perHead ? D : kvHeads * D);
  }
}
