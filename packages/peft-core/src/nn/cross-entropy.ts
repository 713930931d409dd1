import { attr, customGradient, rawOp, tf, withControlDependency, withNestedGradients } from '@graft/tf-graph';
import { flowing, usesKernels } from './computation.ts';
import { rowsGradient } from './linear.ts';
import { flowingMatmul, matmul } from './matmul.ts';
import { trainedPart, type Weight, type WeightSlice, weightValue } from './weight.ts';

export interface TokenLosses {
  /** `(K)`: −log p of each label. */
  losses: tf.Tensor;
  /** `(K)` float32: 1 where the label is the most probable token. */
  correct: tf.Tensor;
}

/** Rows of logits computed at a time: at 49,152 tokens 256 rows take 50 MB. */
const CHUNK_ROWS = 256;

const lossAttrs = [attr.type('T', 'float32'), attr.type('Tlabels', 'int32')];

function lossAndGradient(logits: tf.Tensor, labels: tf.Tensor): [tf.Tensor, tf.Tensor] {
  return rawOp('SparseSoftmaxCrossEntropyWithLogits', lossAttrs, [logits, labels]) as [tf.Tensor, tf.Tensor];
}

function hits(logits: tf.Tensor, labels: tf.Tensor): tf.Tensor {
  return tf.cast(tf.equal(tf.argMax(logits, -1), labels), 'float32');
}

/** Losses from logits `(K, V)` that are already there; for a head that is itself adapted. */
export function lossesOfLogits(logits: tf.Tensor, labels: tf.Tensor): TokenLosses {
  const [loss, slope] = lossAndGradient(logits, labels);
  const losses = customGradient({
    inputs: { logits },
    keep: { slope },
    value: () => loss,
    gradient: (dy, { slope }) => ({ logits: tf.mul(slope, tf.expandDims(dy, -1)) }),
  });
  return { losses, correct: hits(logits, labels) };
}

/**
 * Language-model head and cross entropy in one, in chunks of rows, so that the logits `(K, V)` never exist as a whole.
 * hidden `(K, H)`, weight `(V, H)`, of which all, some rows or nothing is trained, labels `(K)` int32. `scales` `(K)` is the
 * weight of each row in the total loss, whose gradient is taken while a chunk's logits are there (the total is linear in the
 * losses, so the outer gradient is a factor). Returns the scaled total, and each label's loss, without gradient.
 */
export function headLoss(
  hidden: tf.Tensor,
  weight: Weight,
  labels: tf.Tensor,
  scales: tf.Tensor,
  withGradient: boolean,
): { total: tf.Tensor } & TokenLosses {
  const inputs = { hidden, weight, labels, scales };
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

interface HeadInputs {
  hidden: tf.Tensor;
  weight: Weight;
  labels: tf.Tensor;
  scales: tf.Tensor;
}

/** The losses, and with `withGradient` the total's gradients: of the hidden states by chunk, and of what is trained of the weight. */
function inChunks({ hidden, weight, labels, scales }: HeadInputs, withGradient: boolean) {
  const head = headOf(weight, hidden);
  const [count, width] = [hidden.shape[0]!, hidden.shape[1]!];
  const parts: TokenLosses[] = [];
  const dHidden: tf.Tensor[] = [];
  let dTrained: tf.Tensor | undefined;
  let previous: tf.Tensor | undefined;
  for (let start = 0; start < count; start += CHUNK_ROWS) {
    const rows = Math.min(CHUNK_ROWS, count - start);
    // One chunk after the other: side by side they would all be in memory at once.
    const slice = tf.slice(hidden, [start, 0], [rows, width]);
    const x = previous ? withControlDependency(slice, previous) : slice; // (rows, H)
    const y = tf.slice(labels, [start], [rows]);
    const scale = tf.slice(scales, [start], [rows]);
    const { losses, correct, scaled } = scaledLoss(head.logits(x), y, scale, withGradient);
    parts.push({ losses, correct });
    previous = losses;
    if (!withGradient) continue;
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
  const [losses, slope] = lossAndGradient(logits, labels);
  const scaled = tf.mul(slope, tf.reshape(scale, [-1, 1]));
  return { losses, correct: hits(logits, labels), scaled };
}

const concatenated = (parts: tf.Tensor[]): tf.Tensor =>
  parts.length === 1 ? parts[0]! : tf.concat(parts, 0);

/** The products with a head's weight `(V, H)`. */
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

/** One slice of the vocabulary after the other, so that the unpacked weight never exists as a whole. */
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
