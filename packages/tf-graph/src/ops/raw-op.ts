// TensorFlow ops by name, in both modes: recorded while a function is traced, otherwise executed immediately.
import { fromBfloat16, toBfloat16 } from '../bfloat16.ts';
import type { DType } from '../dtypes.ts';
import { customGradient } from '../gradients/custom-gradient.ts';
import { type Attr, attr } from '../graph/attributes.ts';
import { nodeOf } from '../graph/recording.ts';
import { tf } from '../tensorflow.ts';
import { eagerDtypeOf, executeEagerly } from './eager-ops.ts';
import { symbolicBackend, symbolicBackendName } from './symbolic-backend.ts';

export const isTracing = (): boolean => tf.getBackend() === symbolicBackendName;

/**
 * Runs or records the TensorFlow op `op`. Type attributes of inputs (`T`, `Tidx`, …) are inferred, so only the others need to be given. No
 * gradient flows through it: wrap it in customGradient if one should. In a graph it does not run before `after` have been computed.
 */
export function rawOp(op: string, attrs: Attr[], inputs: tf.Tensor[], after: tf.Tensor[] = []): tf.Tensor[] {
  return isTracing()
    ? symbolicBackend.record(op, attrs, inputs, controlInputs(after))
    : executeEagerly(op, attrs, inputs);
}

/** Returns the storage type of a tensor, which tfjs may not know (it sees bfloat16 as float32). */
export const storageOf = (x: tf.Tensor): DType =>
  isTracing() ? symbolicBackend.dtypeOf(x) : eagerDtypeOf(x);

/** Returns `x`, computed only after `after` (control inputs). Its gradient passes unchanged. Eager: returns `x`. */
export function withControlDependency(x: tf.Tensor, ...after: tf.Tensor[]): tf.Tensor {
  if (!isTracing() || after.length === 0) return x;
  const controls = controlInputs(after);
  return customGradient({
    inputs: { x },
    keep: {},
    value: () => symbolicBackend.record('Identity', [], [x], controls)[0]!,
    gradient: (dy) => ({ x: dy }),
  });
}

/** Returns control inputs for all computed tensors; host constants need none. */
export const controlInputs = (after: tf.Tensor[]): string[] => [
  ...new Set(
    after.filter((t) => !symbolicBackend.isConstant(t)).map((t) => `^${nodeOf(symbolicBackend.ref(t))}`),
  ),
];

/**
 * Converts `x` to another storage type; the gradient is converted back. bfloat16 tensors exist only while tracing; in eager mode the values
 * are rounded to it (nearest, ties to even) and stay float32.
 */
export function cast(x: tf.Tensor, dtype: DType): tf.Tensor {
  const from = storageOf(x);
  if (from === dtype) return x;
  return customGradient({
    inputs: { x },
    keep: {},
    value: () => castOnly(x, dtype),
    gradient: (dy) => ({ x: castOnly(dy, from) }),
  });
}

function castOnly(x: tf.Tensor, dtype: DType): tf.Tensor {
  if (!isTracing() && dtype === 'bfloat16') {
    const values = castOnly(x, 'float32').dataSync() as Float32Array;
    return tf.tensor(fromBfloat16(toBfloat16(values)), x.shape, 'float32');
  }
  if (storageOf(x) === dtype) return x.clone();
  return rawOp('Cast', [attr.type('DstT', dtype), attr.bool('Truncate', false)], [x])[0]!;
}
