import { attr, rawOp, tf, withControlDependency } from '@graft/tf-graph';
import { rowsGradient } from './linear.ts';
import { matmul } from './matmul.ts';
import { type Weight, type WeightSlice, weightValue, withRows } from './weight.ts';

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
  const losses = tf.customGrad((logits, save) => {
    const [loss, gradient] = lossAndGradient(logits as tf.Tensor, labels);
    (save as tf.GradSaveFunc)([gradient]);
    return {
      value: loss,
      gradFunc: (dy, [gradient]) => tf.mul(gradient!, tf.expandDims(dy as tf.Tensor, -1)),
    };
  })(logits);
  return { losses, correct: hits(logits, labels) };
}

/**
 * Language-model head and cross entropy in one, in chunks of rows, so that the logits `(K, V)` never exist as a whole.
 * hidden `(K, H)`, weight `(V, H)`, of which all, some rows or nothing is trained, labels `(K)` int32. `scales` `(K)` is the weight of each row in the total loss, whose
 * gradient is taken while a chunk's logits are there (the total is linear in the losses, so the outer gradient is a factor).
 * Returns the scaled total, and each label's loss, without gradient.
 */
export function headLoss(
  hidden: tf.Tensor,
  weight: Weight,
  labels: tf.Tensor,
  scales: tf.Tensor,
  withGradient: boolean,
): { total: tf.Tensor } & TokenLosses {
  const side: { losses?: tf.Tensor; correct?: tf.Tensor } = {};
  const run = (hidden: tf.Tensor, head: Head) => {
    const parts: { losses: tf.Tensor; correct: tf.Tensor; dHidden?: tf.Tensor }[] = [];
    let dTrained: tf.Tensor | undefined;
    let previous: tf.Tensor | undefined;
    for (let start = 0; start < hidden.shape[0]!; start += CHUNK_ROWS) {
      const rows = Math.min(CHUNK_ROWS, hidden.shape[0]! - start);
      // One chunk after the other: side by side they would all be in memory at once.
      const slice = tf.slice(hidden, [start, 0], [rows, hidden.shape[1]!]);
      const x = previous ? withControlDependency(slice, previous) : slice;
      const y = tf.slice(labels, [start], [rows]);
      const logits = head.logits(x);
      const [losses, dLogits] = lossAndGradient(logits, y);
      const correct = hits(logits, y);
      if (withGradient) {
        const scaled = tf.mul(dLogits, tf.reshape(tf.slice(scales, [start], [rows]), [rows, 1]));
        const dHidden = head.dHidden(scaled);
        if (weight.kind !== 'frozen') {
          const part = weight.kind === 'rows' ? rowsGradient(weight, scaled, x) : matmul(scaled, x, true);
          dTrained = dTrained ? tf.add(dTrained, part) : part;
        }
        parts.push({ losses, correct, dHidden });
        previous = dHidden;
      } else {
        parts.push({ losses, correct });
        previous = losses;
      }
    }
    const join = (ts: tf.Tensor[]) => (ts.length === 1 ? ts[0]! : tf.concat(ts, 0));
    side.losses = tf.keep(join(parts.map((p) => p.losses)));
    side.correct = tf.keep(join(parts.map((p) => p.correct)));
    const total = tf.sum(tf.mul(side.losses, scales));
    return { total, dHidden: withGradient ? join(parts.map((p) => p.dHidden!)) : undefined, dTrained };
  };
  if (!withGradient) {
    const { total } = run(hidden, headOf(weight, hidden));
    return { total, losses: side.losses!, correct: side.correct! };
  }
  const total =
    weight.kind === 'frozen'
      ? tf.customGrad((hidden, save) => {
          const { total, dHidden } = run(hidden as tf.Tensor, headOf(weight, hidden as tf.Tensor));
          (save as tf.GradSaveFunc)([dHidden!]);
          return { value: total, gradFunc: (dy, [dHidden]) => tf.mul(dHidden!, dy as tf.Tensor) };
        })(hidden)
      : tf.customGrad((hidden, trained, save) => {
          const table =
            weight.kind === 'rows'
              ? withRows(weight, trained as tf.Tensor, hidden as tf.Tensor)
              : (trained as tf.Tensor);
          const { total, dHidden, dTrained } = run(hidden as tf.Tensor, wholeHead(table));
          (save as tf.GradSaveFunc)([dHidden!, dTrained!]);
          return {
            value: total,
            gradFunc: (dy, [dHidden, dTrained]) => [
              tf.mul(dHidden!, dy as tf.Tensor),
              tf.mul(dTrained!, dy as tf.Tensor),
            ],
          };
        })(hidden, weight.kind === 'rows' ? weight.rows : weight.tensor);
  return { total, losses: side.losses!, correct: side.correct! };
}

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
  logits: (x) => matmul(x, table, false, true),
  dHidden: (dLogits) => matmul(dLogits, table),
});

/** One slice of the vocabulary after the other, so that the unpacked weight never exists as a whole. */
function slicedHead(slices: WeightSlice[]): Head {
  return {
    logits(x) {
      const parts: tf.Tensor[] = [];
      for (const { read } of slices) parts.push(matmul(x, read(x, ...parts.slice(-1)), false, true));
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
