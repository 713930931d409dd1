import { tf } from '@graft/tf-graph';
import { gatedProduct } from '../nn/activations.ts';
import { longSequences } from '../nn/attention/long-sequences.ts';
import { rotationByLength, rotationOf } from '../nn/attention/rotary.ts';
import type { Columns } from '../nn/columns.ts';
import { exactly, flowing } from '../nn/computation.ts';
import { cappedLogits } from '../nn/cross-entropy.ts';
import { residualSum } from '../nn/residual.ts';
import type { DecoderOutline } from '../outlines/decoder.ts';
import { type LayerInputs, lendsKeys } from '../outlines/decoder-modules.ts';
import type { Architecture, KeysAndValues, ModelRuntime, TokenGrid } from './architecture.ts';
import { type AttentionInputs, decoderAttention, normsOf } from './decoder-attention.ts';
import { gatedDeltaNet } from './gated-delta-net.ts';
import { mamba } from './mamba.ts';
import { sparseFeedForward } from './sparse-network.ts';

/** Tensors that all blocks share. */
type Shared = Pick<AttentionInputs, 'rotations' | 'growth'>;

/** What a block computes with beside the hidden states. */
interface BlockInputs {
  /** `(N, P)`; null: layers have no input. */
  input: tf.Tensor | null;
  /** Keys and values that several layers use; null: the block computes its own. */
  keys: KeysAndValues | null;
}

const scaled = (x: tf.Tensor, factor: number): tf.Tensor => (factor === 1 ? x : tf.mul(x, factor));

/**
 * Decoders: blocks of grouped-query attention with rotary positions and a gated feed-forward network, with RMSNorm before each, after
 * each, or both. Names are transformers' state-dict keys.
 */
export function decoder(outline: DecoderOutline): Architecture {
  const { layers, epsilon, normShift, task, prefix, factors, norms, dense, sparse, layerInputs } = outline;

  const { recurrence } = outline;
  const recurrentLayer = recurrence?.rule === 'state_space' ? mamba : gatedDeltaNet;
  const normed = normsOf(outline);
  const attention = decoderAttention(outline);

  /** x `(N, H)` → `(N, H)`. `path`: that of the layer. */
  function feedForward(runtime: ModelRuntime, layer: number, path: string, x: tf.Tensor): tf.Tensor {
    if (!sparse?.isSparse(layer)) return denseFeedForward(runtime, path, x);
    const chosen = sparseFeedForward(runtime, `${path}.${sparse.module}`, outline.activation, sparse, x);
    return sparse.addsDense ? flowing(tf.add(chosen, denseFeedForward(runtime, path, x))) : chosen;
  }

  function denseFeedForward(runtime: ModelRuntime, path: string, x: tf.Tensor): tf.Tensor {
    const network = `${path}.${dense.module}`;
    const modules = dense.gateAndUp.map((name) => `${network}.${name}`);
    const gateAndUp = modules.length === 1 ? [runtime.linear(modules[0]!, x)] : runtime.linears(modules, x);
    const wide = gatedProduct(outline.activation, gateAndUp as Columns); // (N, I)
    return runtime.linear(`${network}.${dense.down}`, wide);
  }

  function block(
    runtime: ModelRuntime,
    layer: number,
    x: tf.Tensor,
    shared: Shared,
    { input, keys }: BlockInputs,
  ): tf.Tensor {
    const path = `${prefix}layers.${layer}`;
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
    const output = recurrence?.has(layer)
      ? recurrentLayer(runtime, { path: `${path}.${recurrence.module}`, layer, epsilon, read }, recurrence, h)
      : attention.attend(runtime, layer, h, { ...shared, read, keys });
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
      feedForward(runtime, layer, path, m),
      afterAttention,
      undefined,
      finish(norms.feedForward.after),
    );
    const whole = input ? gatedByInput(runtime, path, after, read(input)) : after;
    const result = outline.layerScalars ? runtime.times(`${path}.layer_scalar`, whole) : whole;
    return readsAll ? runtime.rowsRead(layer, result) : result;
  }

  /** Adds to x `(K, H)` what a gate of x lets through of the layer's input `(K, P)`. */
  function gatedByInput(runtime: ModelRuntime, path: string, x: tf.Tensor, input: tf.Tensor): tf.Tensor {
    const gate = runtime.linear(`${path}.per_layer_input_gate`, x);
    const through = gatedProduct(outline.activation, [gate, flowing(input)]);
    const output = runtime.linear(`${path}.per_layer_projection`, through);
    return residualSum(x, normed(runtime, path, 'post_per_layer_input_norm', output));
  }

  /** The inputs `(N, P)` of each layer for tokens with these ids and embeddings `(N, H)`. */
  function inputsOfLayers(
    runtime: ModelRuntime,
    ids: tf.Tensor,
    x: tf.Tensor,
    { width, factor }: LayerInputs,
  ): tf.Tensor[] {
    const projected = scaled(
      runtime.linear(`${prefix}per_layer_model_projection`, x),
      outline.hiddenSize ** -0.5,
    );
    const byLayer = tf.reshape(projected, [-1, width]); // (N · layers, P)
    const context = runtime.rmsNorm(`${prefix}per_layer_projection_norm`, byLayer, epsilon);
    const rows = scaled(runtime.embedding(outline.layerTable!, ids), factor); // (N, layers · P)
    const both = tf.add(tf.reshape(exactly(context), rows.shape), rows);
    return tf.split(scaled(both, Math.SQRT1_2), layers, 1);
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
      const inputs = layerInputs && inputsOfLayers(runtime, ids, x, layerInputs);
      const lent = new Map<number, KeysAndValues>();
      for (let layer = 0; layer < layers; layer++) {
        // Keys and values that other layers use, too, are an input of all their blocks.
        if (lendsKeys(outline, layer)) lent.set(layer, attention.keysAndValues(runtime, layer, x));
        const keys = lent.get(outline.attentionOf(layer).keysFrom ?? layer);
        const others = [...(inputs ? [inputs[layer]!] : []), ...(keys ? [keys.k, keys.v] : [])];
        const body = (x: tf.Tensor, ...others: tf.Tensor[]) => {
          const input = inputs ? others.shift()! : null;
          return block(runtime, layer, x, shared, {
            input,
            keys: keys ? { k: others[0]!, v: others[1]! } : null,
          });
        };
        x = runtime.block(`${prefix}layers.${layer}`, x, body, others);
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
            if (task === 'CAUSAL_LM')
              return cappedLogits(runtime.linear('lm_head', hidden), outline.logitCap);
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
