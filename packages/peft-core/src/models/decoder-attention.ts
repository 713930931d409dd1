import { tf } from '@graft/tf-graph';
import { gatedProduct } from '../nn/activations.ts';
import { type Projections, queriesKeysValues } from '../nn/attention/heads.ts';
import type { Rotation } from '../nn/attention/rotary.ts';
import { type Columns, separate } from '../nn/columns.ts';
import { flowing } from '../nn/computation.ts';
import { rmsNorm } from '../nn/rms-norm.ts';
import type { DecoderOutline } from '../outlines/decoder.ts';
import type { LayerAttention } from '../outlines/outline.ts';
import type { KeysAndValues, ModelRuntime } from './architecture.ts';

/** Inputs of a layer's attention beside the hidden states. */
export interface AttentionInputs {
  /** For each of the outline's ropes. */
  rotations: Rotation[];
  /** Factor of the queries by position, `(N, 1)`; null: 1. */
  growth: tf.Tensor | null;
  /** Selects the rows that are read after the layer. */
  read(x: tf.Tensor): tf.Tensor;
  /** Keys and values that several layers use; null: the layer computes its own. */
  keys: KeysAndValues | null;
}

/** Returns a function that applies the norm `name` to x, if there is one. */
export const normsOf =
  ({ epsilon, normShift }: Pick<DecoderOutline, 'epsilon' | 'normShift'>) =>
  (runtime: ModelRuntime, path: string, name: string | undefined, x: tf.Tensor) =>
    name === undefined ? x : runtime.rmsNorm(`${path}.${name}`, x, epsilon, normShift);

/** Grouped-query attention of a decoder's layers. */
export function decoderAttention(outline: DecoderOutline) {
  const { heads, prefix, factors, epsilon } = outline;
  const normed = normsOf(outline);
  const pathOf = (layer: number) => `${prefix}layers.${layer}.self_attn`;

  /** Applies `norm` to each head of t `(N, count · D)`. */
  function eachHead(t: tf.Tensor, D: number, norm: (split: tf.Tensor) => tf.Tensor): tf.Tensor {
    const [rows, width] = t.shape as [number, number];
    return tf.reshape(norm(tf.reshape(t, [rows, width / D, D])), [rows, width]);
  }

  /** RMSNorm of queries or keys t `(N, count · D)`: of each head, of all or none. */
  function queryKeyNorm(runtime: ModelRuntime, path: string, module: string, t: tf.Tensor, D: number) {
    const kind = outline.queryKeyNorms;
    if (kind !== 'head') return normed(runtime, path, kind ? module : undefined, t);
    return eachHead(t, D, (split) => normed(runtime, path, module, split));
  }

  /** RMSNorm without a weight of each head's values. */
  const valueNorm = (v: tf.Tensor, D: number) =>
    outline.valueNorms ? eachHead(v, D, (split) => rmsNorm(split, tf.ones([D]), epsilon, false)) : v;

  /** Separates the gate of attention's output from the queries; null without one. */
  function gateAndProjections(all: Projections, { kvHeads, headSize: D }: LayerAttention) {
    if (!outline.outputGate) return { gate: null, projections: all };
    const width = heads * D;
    const [both, k, v] = separate(all, [2 * width, kvHeads * D, kvHeads * D]) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ];
    const halves = tf.split(tf.reshape(both, [-1, heads, 2 * D]), 2, 2);
    const [q, gate] = halves.map((half) => tf.reshape(half, [-1, width])) as [tf.Tensor, tf.Tensor];
    return { gate, projections: [q, k, v] };
  }

  const linears = (runtime: ModelRuntime, path: string, names: string[], x: tf.Tensor): Columns =>
    runtime.linears(
      names.map((name) => `${path}.${name}`),
      x,
    );

  /** Queries, keys and values of h `(N, H)`, with their norms. */
  function ownProjections(
    runtime: ModelRuntime,
    layer: number,
    h: tf.Tensor,
    growth: tf.Tensor | null,
  ): { gate: tf.Tensor | null; projections: Projections } {
    const path = pathOf(layer);
    const sizes = outline.attentionOf(layer);
    const { kvHeads, headSize: D } = sizes;
    if (outline.valuesAreKeys(layer)) {
      const [q, k] = separate(linears(runtime, path, ['q_proj', 'k_proj'], h), [heads * D, kvHeads * D]);
      return {
        gate: null,
        projections: [ownQueries(runtime, path, q!, D, growth), ...keysOf(runtime, path, k!, k!, D)],
      };
    }
    const all = outline.fused
      ? [runtime.linear(`${path}.qkv_proj`, h)]
      : linears(runtime, path, ['q_proj', 'k_proj', 'v_proj'], h);
    const { gate, projections } = gateAndProjections(all, sizes);
    if (!outline.queryKeyNorms && !growth) return { gate, projections };
    const { q, k, v } = queriesKeysValues(projections, { heads, kvHeads, headSize: D, scale: 1 });
    return {
      gate,
      projections: [ownQueries(runtime, path, q, D, growth), ...keysOf(runtime, path, k, v, D)],
    };
  }

  function ownQueries(
    runtime: ModelRuntime,
    path: string,
    q: tf.Tensor,
    D: number,
    growth: tf.Tensor | null,
  ): tf.Tensor {
    const own = queryKeyNorm(runtime, path, 'q_norm', q, D);
    return growth ? flowing(tf.mul(own, growth)) : own;
  }

  const keysOf = (runtime: ModelRuntime, path: string, k: tf.Tensor, v: tf.Tensor, D: number) =>
    [queryKeyNorm(runtime, path, 'k_norm', k, D), valueNorm(v, D)] as const;

  return {
    /** Keys, before their rotation, and values of layer `layer` for its block's input x `(N, H)`. */
    keysAndValues(runtime: ModelRuntime, layer: number, x: tf.Tensor): KeysAndValues {
      const path = pathOf(layer);
      const h = normed(runtime, `${prefix}layers.${layer}`, outline.norms.attention.before, x);
      const { kvHeads, headSize: D } = outline.attentionOf(layer);
      const names = outline.valuesAreKeys(layer) ? ['k_proj'] : ['k_proj', 'v_proj'];
      const [first, second] = separate(
        linears(runtime, path, names, h),
        names.map(() => kvHeads * D),
      );
      const [k, v] = keysOf(runtime, path, first!, second ?? first!, D);
      return { k, v };
    },

    /** h `(N, H)` → `(K, H)`, for the rows that are read. */
    attend(
      runtime: ModelRuntime,
      layer: number,
      h: tf.Tensor,
      { rotations, growth, read, keys }: AttentionInputs,
    ): tf.Tensor {
      const path = pathOf(layer);
      const rope = outline.rope(layer);
      const { kvHeads, headSize, keysFrom } = outline.attentionOf(layer);
      const { gate, projections } = keys
        ? {
            gate: null,
            projections: [
              ownQueries(runtime, path, runtime.linear(`${path}.q_proj`, h), headSize, growth),
              keys.k,
              keys.v,
            ],
          }
        : ownProjections(runtime, layer, h, growth);
      const attended = runtime.attend(
        {
          layer,
          window: outline.window(layer),
          dropout: outline.dropout.attention,
          heads,
          kvHeads,
          headSize,
          scale: factors.scores,
          ...(keysFrom === null ? {} : { keysFrom }),
          ...(rope === null ? {} : { rotation: rotations[rope]! }),
          ...(outline.sinks && { sinks: runtime.parameter(`${path}.sinks`) }),
        },
        projections,
      ); // (N, heads · D)
      const gated = gate ? gatedProduct('sigmoid', [read(gate), read(attended)]) : read(attended);
      return runtime.linear(`${path}.o_proj`, gated);
    },
  };
}
