import { tf } from '@graft/tf-graph';
import { gatedProduct } from '../nn/activations.ts';
import { type Projections, queriesKeysValues } from '../nn/attention/heads.ts';
import { longSequences } from '../nn/attention/long-sequences.ts';
import { type Rotation, rotationByLength, rotationOf } from '../nn/attention/rotary.ts';
import { type Columns, separate } from '../nn/columns.ts';
import { flowing } from '../nn/computation.ts';
import type { DecoderOutline } from '../outlines/decoder.ts';
import type { Architecture, ModelRuntime, TokenGrid } from './architecture.ts';
import { gatedDeltaNet } from './gated-delta-net.ts';
import { sparseFeedForward } from './sparse-network.ts';

/** Tensors that all blocks share. */
interface Shared {
  /** For each of the outline's ropes. */
  rotations: Rotation[];
  /** Factor of the queries by position, `(N, 1)`; null: 1. */
  growth: tf.Tensor | null;
}

/** Selects the rows that are read after a layer. */
type ReadRows = (x: tf.Tensor) => tf.Tensor;

const scaled = (x: tf.Tensor, factor: number): tf.Tensor => (factor === 1 ? x : tf.mul(x, factor));

/**
 * Decoders: blocks of grouped-query attention with rotary positions and a gated feed-forward network, with RMSNorm before each, after
 * each, or both. Names are transformers' state-dict keys.
 */
export function decoder(outline: DecoderOutline): Architecture {
  const {
    heads,
    kvHeads,
    headSize: D,
    layers,
    epsilon,
    normShift,
    task,
    prefix,
    factors,
    norms,
    sparse,
  } = outline;
  const ownHeads = { heads, kvHeads, headSize: D, scale: factors.scores };

  /** Applies the norm `name` to x, if there is one. */
  const normed = (runtime: ModelRuntime, path: string, name: string | undefined, x: tf.Tensor) =>
    name === undefined ? x : runtime.rmsNorm(`${path}.${name}`, x, epsilon, normShift);

  function queriesAndKeys(
    runtime: ModelRuntime,
    path: string,
    all: Projections,
    growth: tf.Tensor | null,
  ): Projections {
    const kind = outline.queryKeyNorms;
    if (!kind && !growth) return all;
    /** RMSNorm of t `(N, count · D)`: of each head, or of all together. */
    const norm = (module: string, t: tf.Tensor) => {
      if (kind !== 'head') return normed(runtime, path, kind ? module : undefined, t);
      const [rows, width] = t.shape as [number, number];
      const split = tf.reshape(t, [rows, width / D, D]);
      return tf.reshape(normed(runtime, path, module, split), [rows, width]);
    };
    const { q, k, v } = queriesKeysValues(all, ownHeads);
    const own = norm('q_norm', q);
    return [growth ? flowing(tf.mul(own, growth)) : own, norm('k_norm', k), v];
  }

  /** Separates the gate of attention's output from the queries; null without one. */
  function gateAndProjections(all: Projections): { gate: tf.Tensor | null; projections: Projections } {
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

  function projections(runtime: ModelRuntime, path: string, x: tf.Tensor): Columns {
    if (outline.fused) return [runtime.linear(`${path}.qkv_proj`, x)];
    return runtime.linears(
      ['q_proj', 'k_proj', 'v_proj'].map((name) => `${path}.${name}`),
      x,
    );
  }

  function gateAndUp(runtime: ModelRuntime, path: string, x: tf.Tensor): Columns {
    if (outline.fused) return [runtime.linear(`${path}.gate_up_proj`, x)];
    return runtime.linears([`${path}.gate_proj`, `${path}.up_proj`], x);
  }

  /** x `(N, H)` → `(N, H)`. */
  function feedForward(runtime: ModelRuntime, layer: number, path: string, x: tf.Tensor): tf.Tensor {
    if (sparse?.isSparse(layer)) return sparseFeedForward(runtime, path, outline.activation, sparse, x);
    const wide = gatedProduct(outline.activation, gateAndUp(runtime, path, x)); // (N, I)
    return runtime.linear(`${path}.down_proj`, wide);
  }

  /** h `(N, H)` → `(K, H)`, for the rows that are read. */
  function attention(
    runtime: ModelRuntime,
    layer: number,
    h: tf.Tensor,
    shared: Shared,
    read: ReadRows,
  ): tf.Tensor {
    const path = `${prefix}layers.${layer}.self_attn`;
    const rope = outline.rope(layer);
    const { gate, projections: own } = gateAndProjections(projections(runtime, path, h));
    const attended = runtime.attend(
      {
        layer,
        window: outline.window(layer),
        dropout: outline.dropout.attention,
        ...ownHeads,
        ...(rope === null ? {} : { rotation: shared.rotations[rope]! }),
        ...(outline.sinks && { sinks: runtime.parameter(`${path}.sinks`) }),
      },
      queriesAndKeys(runtime, path, own, shared.growth),
    ); // (N, heads · D)
    const gated = gate ? gatedProduct('sigmoid', [read(gate), read(attended)]) : read(attended);
    return runtime.linear(`${path}.o_proj`, gated);
  }

  function block(runtime: ModelRuntime, layer: number, x: tf.Tensor, shared: Shared): tf.Tensor {
    const path = `${prefix}layers.${layer}`;
    const network = `${path}.mlp`;
    /** What becomes of a sublayer's output before it is added. */
    const finish = (norm: string | undefined) => (output: tf.Tensor) =>
      normed(
        runtime,
        path,
        norm,
        scaled(runtime.dropout(output, outline.dropout.residual), factors.sublayer),
      );

    const h = normed(runtime, path, norms.attention.before, x); // (N, H)
    // A loss that balances experts counts every row.
    const readsAll = runtime.balance !== undefined && (sparse?.isSparse(layer) ?? false);
    const read = (x: tf.Tensor) => (readsAll ? x : runtime.rowsRead(layer, x));
    const output = outline.recurrence?.has(layer)
      ? gatedDeltaNet(runtime, { path: `${path}.linear_attn`, layer, epsilon, read }, outline.recurrence, h)
      : attention(runtime, layer, h, shared, read);
    const afterAttention = runtime.residualAdd(
      { layer, sublayer: 'attention', module: `${path}.attention_adapters` },
      output,
      read(x),
      undefined,
      finish(norms.attention.after),
    );

    const m = normed(runtime, path, norms.feedForward.before, afterAttention);
    const after = runtime.residualAdd(
      { layer, sublayer: 'feed_forward', module: `${path}.output_adapters` },
      feedForward(runtime, layer, network, m),
      afterAttention,
      undefined,
      finish(norms.feedForward.after),
    );
    return readsAll ? runtime.rowsRead(layer, after) : after;
  }

  function sharedTensors(runtime: ModelRuntime, grid: TokenGrid): Shared {
    const rotations = outline.ropes.map(({ inverseFrequencies, attentionFactor, long }) => {
      const isLong = long ? longSequences(grid, long.over) : null;
      const angles = isLong
        ? rotationByLength(
            grid.positions,
            isLong,
            [inverseFrequencies, long!.inverseFrequencies],
            attentionFactor,
          )
        : rotationOf(grid.positions, inverseFrequencies, attentionFactor);
      return { cosines: runtime.constant(angles.cosines), sines: runtime.constant(angles.sines) };
    });
    const { queryGrowth } = outline;
    return { rotations, growth: queryGrowth && runtime.constant(growthOf(grid.positions, queryGrowth)) };
  }

  return {
    ...outline,
    attention: 'causal',
    drops: outline.dropout.attention > 0 || outline.dropout.residual > 0,
    body(runtime, ids, grid) {
      const shared = sharedTensors(runtime, grid);
      let x = scaled(runtime.embedding(outline.tokenEmbedding, ids), factors.stream);
      for (let layer = 0; layer < layers; layer++) {
        x = runtime.block(`${prefix}layers.${layer}`, x, (x) => block(runtime, layer, x, shared));
      }
      return x;
    },
    finalNorm(runtime, hidden) {
      const normed = runtime.rmsNorm(`${prefix}norm`, hidden, epsilon, normShift);
      // The head is linear and has no bias, so that its input can be scaled instead of its output.
      return task === 'CAUSAL_LM' ? scaled(normed, factors.logits) : normed;
    },
    languageHead: task === 'CAUSAL_LM' ? 'lm_head' : null,
    ...(task === 'FEATURE_EXTRACTION'
      ? {}
      : {
          logits: (runtime: ModelRuntime, hidden: tf.Tensor) => {
            if (task === 'CAUSAL_LM') return runtime.linear('lm_head', hidden);
            const dropped =
              task === 'TOKEN_CLS' ? runtime.dropout(hidden, outline.dropout.classifier) : hidden;
            return runtime.linear('score', dropped);
          },
        }),
  };
}

/** `1 + weight · ln(1 + ⌊p / span⌋)` for positions p `(N)` int32, `(N, 1)`. */
function growthOf(
  positions: tf.Tensor,
  { weight, span }: NonNullable<DecoderOutline['queryGrowth']>,
): tf.Tensor {
  const spans = tf.floor(tf.div(tf.cast(positions, 'float32'), span));
  return tf.reshape(tf.add(1, tf.mul(tf.log(tf.add(1, spans)), weight)), [-1, 1]);
}
