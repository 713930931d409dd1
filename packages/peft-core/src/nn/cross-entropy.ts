import { attr, customGradient, rawOp, tf, withControlDependency, withNestedGradients } from '@graft/tf-graph';
import { headRows } from '../block-sizes/limits.ts';
import { exactly, flowing, graphTarget, usesKernels } from './computation.ts';
import { rowsGradient } from './linear.ts';
import { flowingMatmul, matmul } from './matmul.ts';
import { trainedPart, type Weight, type WeightSlice, weightShape, weightValue } from './weight.ts';

export interface TokenLosses {
  /** `(K)`: −log p of each label. */
  losses: tf.Tensor;
  /** `(K)` float32: 1 where the label is the most probable token. */
  correct: tf.Tensor;
}

const lossAttrs = [attr.type('T', 'float32'), attr.type('Tlabels', 'int32')];

/** 1 where the label is the most probable token. Compares in float32, exact below 2²⁴ tokens: TensorFlow compares int32 on the host. */
function hits(logits: tf.Tensor, labels: tf.Tensor): tf.Tensor {
  const best = tf.cast(tf.argMax(logits, -1), 'float32');
  return tf.cast(tf.equal(best, tf.cast(labels, 'float32')), 'float32');
}

/** `(K, depth)` float32: 1 at each of the labels `(K)`. Not computed before `after`. */
export function oneHot(labels: tf.Tensor, depth: number, after: tf.Tensor[] = []): tf.Tensor {
  const [on, off] = [tf.scalar(1), tf.scalar(0)];
  return rawOp('OneHot', [attr.int('axis', -1)], [labels, tf.scalar(depth, 'int32'), on, off], after)[0]!;
}

/**
 * Log-probabilities from logits `(K, V)`, and the losses of labels `(K)`. SparseSoftmaxCrossEntropyWithLogits would compute loss and
 * gradient together, but it has no deterministic GPU kernel.
 */
function losses(logits: tf.Tensor, labels: tf.Tensor) {
  const logProbabilities = rawOp('LogSoftmax', [], [exactly(logits)])[0]!;
  const rows = [logProbabilities, tf.reshape(labels, [-1, 1]), tf.scalar(1, 'int32')];
  const own = rawOp('GatherV2', [attr.int('batch_dims', 1)], rows)[0]!; // (K, 1)
  return { logProbabilities, losses: tf.neg(tf.reshape(own, [-1])) };
}

/** The gradient of `scale` `(K)` times the losses with respect to the logits, `(K, V)`. */
function slope(logProbabilities: tf.Tensor, labels: tf.Tensor, scale: tf.Tensor): tf.Tensor {
  // Labels are available from the start, so without `after` the one-hot matrices of all chunks would be allocated together.
  const own = oneHot(labels, logProbabilities.shape[1]!, [logProbabilities]);
  const difference = tf.sub(tf.exp(logProbabilities), own);
  return tf.mul(difference, tf.reshape(scale, [-1, 1]));
}

/** Losses from logits `(K, V)` that are already computed, for a head that is itself adapted. */
export function lossesOfLogits(logits: tf.Tensor, labels: tf.Tensor): TokenLosses {
  const correct = hits(logits, labels);
  if (usesKernels()) return { losses: fusedLosses(logits, labels), correct };
  const { logProbabilities, losses: value } = losses(logits, labels);
  const withGradient = customGradient({
    inputs: { logits },
    keep: { logProbabilities, labels },
    value: () => value,
    gradient: (dy, { logProbabilities, labels }) => ({ logits: slope(logProbabilities, labels, dy) }),
  });
  return { losses: withGradient, correct };
}

/** The losses on a processor: there are few rows and classes, and no Graft kernel for them. */
function fusedLosses(logits: tf.Tensor, labels: tf.Tensor): tf.Tensor {
  const fused = rawOp('SparseSoftmaxCrossEntropyWithLogits', lossAttrs, [logits, labels]);
  const [loss, slope] = fused as [tf.Tensor, tf.Tensor];
  return customGradient({
    inputs: { logits },
    keep: { slope },
    value: () => loss,
    gradient: (dy, { slope }) => ({ logits: tf.mul(slope, tf.expandDims(dy, -1)) }),
  });
}

/** `cap · tanh(z / cap)` of logits z `(K, V)`; z itself without a cap. */
export function cappedLogits(logits: tf.Tensor, cap: number | undefined): tf.Tensor {
  if (cap === undefined) return logits;
  return flowing(tf.mul(tf.tanh(tf.mul(exactly(logits), 1 / cap)), cap));
}

/** The gradient of logits before the cap, by that of the capped ones y, both `(K, V)`. */
function capGradient(dCapped: tf.Tensor, y: tf.Tensor, cap: number | undefined): tf.Tensor {
  if (cap === undefined) return dCapped;
  const slope = tf.sub(1, tf.square(tf.mul(exactly(y), 1 / cap)));
  return flowing(tf.mul(exactly(dCapped), slope));
}

/** A language model's head without a bias. */
export interface LanguageHead {
  /** `(V, H)` */
  weight: Weight;
  /** Logits z become `cap · tanh(z / cap)`; absent: they do not. */
  cap?: number;
}

/**
 * Fuses the language-model head and cross entropy, in chunks of rows, so that the logits `(K, V)` never exist as a whole.
 * hidden `(K, H)`; a weight trained as a whole, in some rows or not at all; labels `(K)` int32. `scales` `(K)` is the weight of
 * each row in the total loss. The total's gradient is computed while a chunk's logits exist (the total is linear in the losses, so the
 * outer gradient is only a factor). Returns the scaled total, and each label's loss, without gradient.
 */
export function headLoss(
  hidden: tf.Tensor,
  { weight, cap }: LanguageHead,
  labels: tf.Tensor,
  scales: tf.Tensor,
  withGradient: boolean,
): { total: tf.Tensor } & TokenLosses {
  const inputs = { hidden, weight, cap, labels, scales };
  if (!withGradient) return inChunks(inputs, false).loss;
  const { loss, dHidden, dTrained } = withNestedGradients(() => inChunks(inputs, true));
  const total = customGradient({
    inputs: { hidden, trained: trainedPart(weight) },
    keep: { dHidden: concatenated(dHidden), dTrained },
    value: () => loss.total,
    gradient: (dy, { dHidden, dTrained }) => ({
      hidden: tf.mul(dHidden, dy),
      trained: dTrained && tf.mul(dTrained, dy),
    }),
  });
  return { ...loss, total };
}

/**
 * Each label's loss with a gradient, for totals that are not linear in the losses; `headLoss` takes less where they are. hidden `(K, H)`,
 * labels `(K)` int32. A row's loss depends on that row of `hidden` alone, so with a frozen weight its gradient is computed while a
 * chunk's logits exist, and the outer gradient is a factor for each row. The gradient of a trained weight sums over rows: its logits are
 * computed again once the factors are known.
 */
export function headLosses(
  hidden: tf.Tensor,
  { weight, cap }: LanguageHead,
  labels: tf.Tensor,
  withGradient: boolean,
): TokenLosses {
  const inputs = { hidden, weight, cap, labels, scales: tf.ones([hidden.shape[0]!]) };
  if (!withGradient) return inChunks(inputs, false).loss;
  if (weight.kind === 'frozen') {
    const { loss, dHidden } = withNestedGradients(() => inChunks(inputs, true));
    const losses = customGradient({
      inputs: { hidden },
      keep: { dHidden: concatenated(dHidden) },
      value: () => loss.losses,
      gradient: (dy, { dHidden }) => ({ hidden: tf.mul(dHidden, tf.expandDims(dy, -1)) }),
    });
    return { losses, correct: loss.correct };
  }
  const { loss } = withNestedGradients(() => inChunks(inputs, false));
  const trained = trainedPart(weight)!;
  const losses = customGradient({
    inputs: { hidden, trained },
    keep: { hidden, trained, labels },
    value: () => loss.losses,
    gradient: (dy, { hidden, trained, labels }) => {
      const own: Weight =
        weight.kind === 'rows' ? { ...weight, rows: trained } : { kind: 'trained', tensor: trained };
      const { dHidden, dTrained } = inChunks({ hidden, weight: own, cap, labels, scales: dy }, true);
      return { hidden: concatenated(dHidden), trained: dTrained! };
    },
  });
  return { losses, correct: loss.correct };
}

interface HeadInputs {
  hidden: tf.Tensor;
  weight: Weight;
  cap: number | undefined;
  labels: tf.Tensor;
  scales: tf.Tensor;
}

/** The losses, and with `withGradient` the total's gradients: of the hidden states by chunk, and of the weight's trained part. */
function inChunks({ hidden, weight, cap, labels, scales }: HeadInputs, withGradient: boolean) {
  const head = headOf(weight, hidden);
  const [count, width] = [hidden.shape[0]!, hidden.shape[1]!];
  const parts: TokenLosses[] = [];
  const dHidden: tf.Tensor[] = [];
  let dTrained: tf.Tensor | undefined;
  let previous: tf.Tensor | undefined;
  const most = headRows(graphTarget(), weightShape(weight)[0]!);
  for (let start = 0; start < count; start += most) {
    const rows = Math.min(most, count - start);
    // Chunks run one after the other: in parallel all their logits would be in memory.
    const slice = tf.slice(hidden, [start, 0], [rows, width]);
    const x = previous ? withControlDependency(slice, previous) : slice; // (rows, H)
    const y = tf.slice(labels, [start], [rows]);
    const scale = tf.slice(scales, [start], [rows]);
    const logits = cappedLogits(head.logits(x), cap);
    const { losses, correct, scaled: slope } = scaledLoss(logits, y, scale, withGradient);
    parts.push({ losses, correct });
    previous = losses;
    if (!withGradient) continue;
    const scaled = capGradient(slope, logits, cap);
    previous = head.dHidden(scaled); // (rows, H)
    dHidden.push(previous);
    if (weight.kind === 'frozen') continue;
    const part = weight.kind === 'rows' ? rowsGradient(weight, scaled, x) : matmul(scaled, x, true);
    dTrained = dTrained ? tf.add(dTrained, part) : part;
  }
  const losses = concatenated(parts.map((p) => p.losses));
  const correct = concatenated(parts.map((p) => p.correct));
  const total = tf.sum(tf.mul(losses, scales));
  return { loss: { total, losses, correct }, dHidden, dTrained };
}

/** Losses of logits `(K, V)`, and `scale` `(K)` times their gradient, `(K, V)`. */
function scaledLoss(
  logits: tf.Tensor,
  labels: tf.Tensor,
  scale: tf.Tensor,
  withGradient: boolean,
): TokenLosses & { scaled: tf.Tensor } {
  if (usesKernels()) {
    const attributes = [attr.bool('with_gradient', withGradient)];
    const results = rawOp('GraftCrossEntropy', attributes, [flowing(logits), labels, scale]);
    const [losses, correct, scaled] = results as [tf.Tensor, tf.Tensor, tf.Tensor];
    return { losses, correct, scaled };
  }
  const own = losses(logits, labels);
  const correct = hits(logits, labels);
  // Without a gradient `scaled` is not read.
  const scaled = withGradient ? slope(own.logProbabilities, labels, scale) : own.logProbabilities;
  return { losses: own.losses, correct, scaled };
}

const concatenated = (parts: tf.Tensor[]): tf.Tensor =>
  parts.length === 1 ? parts[0]! : tf.concat(parts, 0);

/** The matrix products with a head's weight `(V, H)`. */
interface Head {
  /** x `(K, H)` → `(K, V)`. */
  logits(x: tf.Tensor): tf.Tensor;
  /** Gradient of the logits `(K, V)` → gradient of x `(K, H)`. */
  dHidden(dLogits: tf.Tensor): tf.Tensor;
}

function headOf(weight: Weight, after: tf.Tensor): Head {
  const slices = weight.kind === 'frozen' ? weight.slices : undefined;
  return slices && slices.length > 1 ? slicedHead(slices) : wholeHead(weightValue(weight, after));
}

const wholeHead = (table: tf.Tensor): Head => ({
  logits: (x) => flowingMatmul(x, table, false, true),
  dHidden: (dLogits) => matmul(dLogits, table),
});

/** Reads one slice of the vocabulary after the other, so that the unpacked weight never exists as a whole. */
function slicedHead(slices: WeightSlice[]): Head {
  return {
    logits(x) {
      const parts: tf.Tensor[] = [];
      for (const { read } of slices) parts.push(flowingMatmul(x, read(x, ...parts.slice(-1)), false, true));
      return tf.concat(parts, 1);
    },
    dHidden(dLogits) {
      let sum: tf.Tensor | undefined;
      let start = 0;
      for (const { rows, read } of slices) {
        const part = tf.slice(
          sum ? withControlDependency(dLogits, sum) : dLogits,
          [0, start],
          [dLogits.shape[0]!, rows],
        );
        const product = matmul(part, read(sum ?? dLogits));
        sum = sum ? tf.add(sum, product) : product;
        start += rows;
      }
      return sum!;
    },
  };
}
