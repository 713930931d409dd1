import { test } from 'node:test';
import { tf } from './tensorflow.ts';
import { checkGradients } from './testing.ts';

const values = (shape: number[], seed: number, from = -1, to = 1) =>
  tf.randomUniform(shape, from, to, 'float32', seed);
const positive = (seed: number) => values([3, 4], seed, 0.5, 2);
/** Away from zero, where abs and relu have a kink. */
const cornerless = tf.tensor2d([
  [-1, 0.7, 0.2, -0.4],
  [0.3, -2, 1.5, 0.9],
]);

const cases: Record<string, [(...x: tf.Tensor[]) => tf.Tensor, tf.Tensor[]]> = {
  'Add, broadcast': [tf.add, [values([3, 4], 1), values([4], 2)]],
  'Sub, broadcast': [tf.sub, [values([3, 1], 1), values([3, 4], 2)]],
  'Multiply, broadcast': [tf.mul, [values([3, 4], 1), values([1], 2)]],
  'RealDiv, broadcast': [tf.div, [values([3, 4], 1), positive(2)]],
  Maximum: [tf.maximum, [cornerless, tf.neg(cornerless)]],
  Select: [
    (a, b) =>
      tf.where(
        tf.tensor2d(
          [
            [1, 0],
            [0, 1],
          ],
          [2, 2],
          'bool',
        ),
        a!,
        b!,
      ),
    [values([2, 2], 1), values([2, 2], 2)],
  ],
  Neg: [tf.neg, [values([3], 1)]],
  Identity: [tf.clone, [values([3], 1)]],
  Square: [tf.square, [values([3], 1)]],
  Abs: [tf.abs, [cornerless]],
  Relu: [tf.relu, [cornerless]],
  Log: [tf.log, [positive(1)]],
  Sin: [tf.sin, [values([3], 1)]],
  Cos: [tf.cos, [values([3], 1)]],
  Erf: [tf.erf, [values([5], 1)]],
  Softplus: [tf.softplus, [values([5], 1, -3, 3)]],
  Exp: [tf.exp, [values([3], 1)]],
  Sqrt: [tf.sqrt, [positive(1)]],
  Rsqrt: [tf.rsqrt, [positive(1)]],
  Tanh: [tf.tanh, [values([3], 1)]],
  Sigmoid: [tf.sigmoid, [values([3], 1)]],
  Sum: [(x) => tf.sum(x, [0, 2]), [values([2, 3, 4], 1)]],
  Mean: [(x) => tf.mean(x, 1), [values([2, 3, 4], 1)]],
  Softmax: [(x) => tf.softmax(x, -1), [values([3, 4], 1)]],
  LogSoftmax: [(x) => tf.logSoftmax(x, -1), [values([3, 4], 1)]],
  Reshape: [(x) => tf.reshape(x, [4, 3]), [values([3, 4], 1)]],
  ExpandDims: [(x) => tf.expandDims(x, 1), [values([3, 4], 1)]],
  Transpose: [(x) => tf.transpose(x, [2, 0, 1]), [values([2, 3, 4], 1)]],
  Slice: [(x) => tf.slice(x, [1, 0], [2, 3]), [values([4, 4], 1)]],
  Concat: [(a, b) => tf.concat([a!, b!], 1), [values([2, 3], 1), values([2, 1], 2)]],
  SplitV: [(x) => tf.mul(...(tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor])), [values([3, 4], 1)]],
  'GatherV2, repeated rows': [(x) => tf.gather(x, tf.tensor1d([1, 1, 0], 'int32')), [values([3, 4], 1)]],
};
for (const [name, [f, inputs]] of Object.entries(cases)) {
  test(name, () => void checkGradients(f, inputs));
}

for (const [transposeA, transposeB] of [
  [false, false],
  [false, true],
  [true, false],
  [true, true],
]) {
  test(`BatchMatMul, ${transposeA ? 'transposed' : 'plain'} and ${transposeB ? 'transposed' : 'plain'}`, () => {
    checkGradients(
      (a, b) => tf.matMul(a!, b!, transposeA, transposeB),
      [values(transposeA ? [2, 5, 3] : [2, 3, 5], 1), values(transposeB ? [2, 4, 5] : [2, 5, 4], 2)],
    );
  });
}
