import { GraftError } from '../errors.ts';
import { parseLlamaConfig } from './llama-config.ts';

/** A module that a PEFT method may target, by its Hugging Face path. Linear weights are `(out, in)`, embeddings `(out = vocabulary, in = width)`. */
export interface ModuleDescription {
  name: string;
  kind: 'linear' | 'embedding' | 'norm' | 'other';
  in?: number;
  out?: number;
}

/** Every module of a base model, from its config.json alone: no weights, no TensorFlow. Throws `unsupported_model`. */
export function moduleNames(config: Record<string, unknown>): ModuleDescription[] {
  if (config.model_type === 'llama') return llamaModules(config);
  throw new GraftError(
    'unsupported_model',
    `model_type "${String(config.model_type)}" is not supported; supported: llama`,
    { param: 'model' },
  );
}

/** Modules of the llama architecture in state-dict order. */
export function llamaModules(raw: Record<string, unknown>): ModuleDescription[] {
  const c = parseLlamaConfig(raw);
  const H = c.hiddenSize;
  const linear = (name: string, out: number, width: number): ModuleDescription => ({
    name,
    kind: 'linear',
    in: width,
    out,
  });
  const norm = (name: string): ModuleDescription => ({ name, kind: 'norm', in: H });
  const blocks = Array.from({ length: c.layers }, (_, layer) => {
    const path = `model.layers.${layer}`;
    return [
      linear(`${path}.self_attn.q_proj`, c.heads * c.headSize, H),
      linear(`${path}.self_attn.k_proj`, c.kvHeads * c.headSize, H),
      linear(`${path}.self_attn.v_proj`, c.kvHeads * c.headSize, H),
      linear(`${path}.self_attn.o_proj`, H, c.heads * c.headSize),
      linear(`${path}.mlp.gate_proj`, c.intermediateSize, H),
      linear(`${path}.mlp.up_proj`, c.intermediateSize, H),
      linear(`${path}.mlp.down_proj`, H, c.intermediateSize),
      norm(`${path}.input_layernorm`),
      norm(`${path}.post_attention_layernorm`),
    ];
  });
  return [
    { name: 'model.embed_tokens', kind: 'embedding', in: H, out: c.vocabularySize },
    ...blocks.flat(),
    norm('model.norm'),
    linear('lm_head', c.vocabularySize, H),
  ];
}
