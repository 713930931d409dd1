import { tf } from '@graft/tf-graph';
import { type ActivationName, gatedProduct } from '../nn/activations.ts';
import { longSequences } from '../nn/attention/long-sequences.ts';
import { rotationByLength, rotationOf } from '../nn/attention/rotary.ts';
import { type Columns, separate } from '../nn/columns.ts';
import { exactly, flowing } from '../nn/computation.ts';
import { cappedLogits } from '../nn/cross-entropy.ts';
import { clampedProduct, withExpertBias } from '../nn/experts/clamped-gate.ts';
import { type Choice, chooseExperts, joinExperts } from '../nn/experts/experts.ts';
import { residualSum } from '../nn/residual.ts';
import { rmsNorm } from '../nn/rms-norm.ts';
import type { DecoderOutline } from '../outlines/decoder.ts';
import { type LayerInputs, lendsKeys } from '../outlines/decoder-modules.ts';
import type { ClampedGate, SparseNetwork } from '../outlines/experts.ts';
import { mixedWidth, type Recurrence } from '../outlines/outline.ts';
import type { Architecture, KeysAndValues, ModelRuntime, TokenGrid } from './architecture.ts';
import { type AttentionInputs, decoderAttention, normsOf } from './decoder-attention.ts';
import { gatedDeltaNet, type RecurrentLayer } from './gated-delta-net.ts';

type Shared = Pick<AttentionInputs, 'rotations' | 'growth'>;

/** Inputs of a block beside the hidden states. */
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
    /** Prepares a sublayer's output for the sum: dropout, scale and norm. */
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

/**
 * A Mamba-2 layer in the place of attention: h `(N, H)` → `(K, H)`, for the rows that `read` selects. Sources: Dao and Gu 2024,
 * arXiv:2405.21060; transformers, its modules MambaLayer.
 */
function mamba(
  runtime: ModelRuntime,
  { path, layer, epsilon, read }: RecurrentLayer,
  recurrence: Recurrence,
  h: tf.Tensor,
): tf.Tensor {
  const { keyHeads, valueHeads, keySize, valueSize, rule } = recurrence;
  const widths = [valueHeads * valueSize, mixedWidth(recurrence), valueHeads];
  const [gate, mixed, step] = tf.split(runtime.linear(`${path}.in_proj`, h), widths, 1) as tf.Tensor[];
  const site = { layer, rule, module: path, keyHeads, valueHeads, keySize, valueSize };
  const y = read(runtime.recur(site, { mixed: mixed!, rate: null, step: step! })); // (K, width)
  const gated = gatedProduct('silu', [read(gate!), y]);
  return runtime.linear(`${path}.out_proj`, normed(runtime, `${path}.norm`, gated, keyHeads, epsilon));
}

/** RMSNorm of x `(K, width)` over each of `groups` parts of the width, times the module's weight `(width)`. */
function normed(
  runtime: ModelRuntime,
  module: string,
  x: tf.Tensor,
  groups: number,
  epsilon: number,
): tf.Tensor {
  if (groups === 1) return runtime.rmsNorm(module, x, epsilon);
  const width = x.shape[1]! / groups;
  const parts = rmsNorm(tf.reshape(x, [-1, groups, width]), tf.ones([width]), epsilon, false);
  return flowing(
    tf.mul(exactly(tf.reshape(parts, [-1, groups * width])), runtime.parameter(`${module}.weight`)),
  );
}

/**
 * A feed-forward network of several experts, x `(N, H)` → `(N, H)`: each token is computed by the experts that its router's logits
 * choose. `path`: that of the module. As in transformers' sparse blocks.
 */
function sparseFeedForward(
  runtime: ModelRuntime,
  path: string,
  activation: ActivationName,
  network: SparseNetwork,
  x: tf.Tensor,
): tf.Tensor {
  const own = runtime.linear(`${path}.${network.router}`, x); // (N, E)
  const logits = runtime.balance?.route(own) ?? own;
  const choice = chooseExperts(logits, network);
  if (network.clamped) return joinExperts(clampedExperts(runtime, path, network.clamped, x, choice), choice);
  const gateAndUp = runtime.experts(`${path}.experts.gate_up_proj`, x, choice, 2); // (N, k · I) each
  const [down] = runtime.experts(`${path}.experts.down_proj`, gatedProduct(activation, gateAndUp), choice, 1);
  const chosen = joinExperts(down!, choice);
  if (network.shared === null) return chosen;
  return flowing(tf.add(chosen, sharedExpert(runtime, path, activation, network.shared, x)));
}

/** The outputs `(N, k · H)` of each token's experts, of the form of `SparseNetwork.clamped`. */
function clampedExperts(
  runtime: ModelRuntime,
  path: string,
  form: ClampedGate,
  x: tf.Tensor,
  choice: Choice,
): tf.Tensor {
  const product = (name: string, x: tf.Tensor) => {
    const [y] = runtime.experts(`${path}.experts.${name}`, x, choice, 1);
    return withExpertBias(y!, runtime.parameter(`${path}.experts.${name}_bias`), choice);
  };
  return product('down_proj', clampedProduct(product('gate_up_proj', x), form));
}

/** The output `(N, H)` of the expert that computes every token, times the sigmoid of its gate. */
function sharedExpert(
  runtime: ModelRuntime,
  path: string,
  activation: ActivationName,
  width: number,
  x: tf.Tensor,
): tf.Tensor {
  const modules = [`${path}.shared_expert.gate_proj`, `${path}.shared_expert.up_proj`];
  const gateAndUp = separate(runtime.linears(modules, x), [width, width]);
  const output = runtime.linear(`${path}.shared_expert.down_proj`, gatedProduct(activation, gateAndUp));
  const gate = exactly(runtime.linear(`${path}.shared_expert_gate`, x)); // (N, 1)
  // As wide as the output: then each row is computed alone, whatever the number of rows.
  return gatedProduct('sigmoid', [flowing(tf.mul(gate, tf.ones([1, output.shape[1]!]))), output]);
}
