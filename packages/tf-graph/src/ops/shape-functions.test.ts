import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type DType, sizeOf, type TypedArray, visibleOf } from '../dtypes.ts';
import { type Attr, attr } from '../graph/attributes.ts';
import type { Program, ProgramFunction } from '../program/program.ts';
import { ProgramBuilder } from '../program/program-builder.ts';
import { tf } from '../tensorflow.ts';
import { cast, rawOp, storageOf } from './raw-op.ts';
import { opDefinitions } from './shape-functions.ts';

// Each case runs twice, eagerly and as a traced function in a session; shapes, types and values must agree.

/** Data is fed, and so unknown while tracing; a host value is a constant. */
type Input = { dtype: DType; shape: number[]; values: TypedArray } | { host: () => tf.Tensor };
interface Case {
  op: string;
  attrs: Attr[];
  inputs: Input[];
}
const cases: Case[] = [];
const add = (ops: string, inputs: Input[], ...attrs: Attr[]) =>
  cases.push(...ops.split(' ').map((op) => ({ op, attrs, inputs })));

/** Values between -2 and 2, none of them 0. */
const data = (shape: number[], dtype: DType = 'float32', values?: ArrayLike<number>): Input => {
  const list = values ?? Array.from({ length: sizeOf(shape) }, (_, i) => (((i * 37) % 80) - 39.5) / 20);
  const visible = visibleOf(dtype);
  const array = { float32: Float32Array, int32: Int32Array, bool: Uint8Array }[visible];
  return { dtype, shape, values: array.from(list as number[]) };
};
const positive = (shape: number[]) =>
  data(
    shape,
    'float32',
    Array.from({ length: sizeOf(shape) }, (_, i) => 0.1 + ((i * 7) % 10) / 10),
  );
const ints = (shape: number[], values: number[], dtype: DType = 'int32') => data(shape, dtype, values);
const vector = (...values: number[]): Input => ({ host: () => tf.tensor1d(values, 'int32') });
const int = (value: number): Input => ({ host: () => tf.scalar(value, 'int32') });
const number = (value: number): Input => ({ host: () => tf.scalar(value) });
const keep = attr.bool('keep_dims', true);

const [a, b] = [data([2, 1, 3]), data([4, 3], 'float32', [1, 2, -1, 0.5, 3, -2, 1.5, -0.5, 1, 2, 3, 4])];
const [p, q] = [positive([2, 3]), positive([2, 3])];
const [i, j] = [ints([2, 3], [1, -2, 3, 4, 5, 6]), ints([3], [2, 3, 1])];
const [s, t] = [ints([3], [1, 0, 1], 'bool'), ints([2, 3], [1, 1, 0, 0, 1, 0], 'bool')];

add('Abs Neg Sign Square Exp Expm1 Sin Cos Tan Tanh Sigmoid Erf Floor Ceil Round', [a]);
add('Relu Relu6 Softplus ZerosLike OnesLike Identity Snapshot StopGradient DeepCopy Softmax LogSoftmax', [a]);
add('Sqrt Rsqrt Reciprocal Log Log1p', [p]);
add('Abs Neg Square Identity ZerosLike', [i]);
add('Invert', [i]);
add('Add AddV2 Sub Mul MulNoNan RealDiv Div DivNoNan FloorDiv Maximum Minimum SquaredDifference', [a, b]);
add('Pow', [positive([2, 1, 3]), b]);
add('Mod FloorMod', [a, b]);
add('AddV2 Sub Mul FloorDiv Maximum BitwiseAnd BitwiseOr BitwiseXor', [i, j]);
add('LeftShift RightShift', [ints([2, 3], [1, 2, 3, 4, 5, 6]), j]);
add('BitwiseAnd RightShift', [ints([3], [200, 17, 255], 'uint8'), int(4)]);
add('SigmoidGrad TanhGrad RsqrtGrad SqrtGrad ReluGrad', [p, q]);
add('AddN', [p, q, p]);
add('L2Loss', [a]);
add('Equal NotEqual Less LessEqual Greater GreaterEqual', [i, j]);
add('Less', [a, number(0)]);
add('LogicalAnd LogicalOr', [s, t]);
add('LogicalNot', [s]);
add('IsNan IsInf IsFinite', [a]);
add('Select', [t, p, q]);
add('SelectV2', [s, p, number(0)]);
add('BatchMatMulV2', [data([2, 3, 4]), data([2, 4, 5])]);
add('BatchMatMulV2', [data([2, 4, 3]), data([5, 4])], attr.bool('adj_x', true), attr.bool('adj_y', true));
add('BatchMatMulV2', [data([2, 1, 3, 4]), data([3, 4, 2])]);
add('MatrixBandPart', [data([2, 3, 3]), int(-1), int(0)]);
add('Sum Mean Max Min Prod', [data([2, 3, 4]), vector(-1, 0)]);
add('Sum Mean Max Min Prod', [data([2, 3, 4]), vector(1)], keep);
add('Sum', [data([2, 3]), vector()]);
add('Sum Max', [i, int(1)]);
add('All Any', [t, vector(1)]);
add('All', [t, vector(0, 1)], keep);
add('ArgMax ArgMin', [data([2, 3, 4]), int(1)], attr.type('output_type', 'int32'));
add('ArgMax', [data([5]), int(-1)], attr.type('output_type', 'int32'));
add('Cumsum Cumprod', [data([2, 3]), int(1)], attr.bool('exclusive', true), attr.bool('reverse', true));
add('TopKV2', [data([2, 5]), int(3)]);
add('Reshape', [data([2, 3, 4]), vector(4, -1)]);
add('Reshape', [data([1]), vector()]);
add('Transpose', [data([2, 3, 4]), vector(2, 0, 1)]);
add('ExpandDims', [data([2, 3]), int(-1)]);
add('ExpandDims', [data([2, 3]), int(1)]);
add('Squeeze', [data([1, 2, 1, 3])]);
add('Squeeze', [data([1, 2, 1, 3])], attr.ints('squeeze_dims', [-2]));
add('ConcatV2', [data([2, 3]), data([2, 1]), data([2, 2]), int(-1)]);
add('Pack', [data([2, 3]), data([2, 3])], attr.int('axis', 1));
add('Unpack', [data([2, 3])], attr.int('axis', 1), attr.int('num', 3));
add('Split', [int(1), data([2, 6])], attr.int('num_split', 3));
add('SplitV', [data([2, 6]), vector(1, -1, 2), int(-1)], attr.int('num_split', 3));
add('Slice', [data([3, 4]), vector(1, 0), vector(-1, 2)]);
add('Slice', [data([3, 4]), ints([2], [1, 1]), vector(2, 2)]); // the start is data
add('StridedSlice', [data([5, 6]), vector(1, -4), vector(4, 6), vector(2, 1)]);
add('StridedSlice', [data([5, 6]), vector(-1, 0), vector(0, 3), vector(-2, 1)], attr.int('end_mask', 1));
const masks = [attr.int('ellipsis_mask', 1), attr.int('new_axis_mask', 2), attr.int('shrink_axis_mask', 4)];
add('StridedSlice', [data([2, 3, 4]), vector(0, 0, 1), vector(0, 0, 2), vector(1, 1, 1)], ...masks);
add('StridedSlice', [data([4, 3]), vector(2), vector(0), vector(1)], attr.int('begin_mask', 1));
add('TensorStridedSliceUpdate', [
  data([3, 4]),
  ints([2], [1, 1]),
  ints([2], [2, 3]),
  vector(1, 1),
  data([1, 2]),
]);
add('Tile', [data([2, 3]), vector(2, 1)]);
add('Pad', [data([2, 3]), { host: () => tf.tensor2d([0, 1, 2, 0], [2, 2], 'int32') }]);
add('PadV2', [data([2, 3]), { host: () => tf.tensor2d([0, 1, 2, 0], [2, 2], 'int32') }, number(7)]);
add('BroadcastTo', [data([3, 1]), vector(2, 3, 4)]);
add('ReverseV2', [data([2, 3]), vector(1)]);
add('GatherV2', [data([5, 2, 3]), ints([2, 2], [4, 0, 1, 1]), int(0)]);
add('GatherV2', [data([2, 5, 3]), ints([2, 4], [4, 0, 1, 1, 0, 0, 2, 3]), int(1)], attr.int('batch_dims', 1));
add('GatherV2', [data([2, 5]), ints([], [3]), int(1)]);
add('GatherNd', [data([3, 4, 2]), ints([2, 2], [0, 1, 2, 3])]);
add('ScatterNd', [ints([3, 1], [4, 0, 4]), data([3, 2]), vector(5, 2)]);
add('TensorScatterUpdate', [data([3, 4]), ints([2, 2], [0, 1, 2, 3]), data([2])]);
add('UnsortedSegmentSum', [data([4, 2]), ints([4], [2, 0, 2, 1]), int(3)]);
add('OneHot', [ints([2, 2], [0, 3, 1, 2]), int(4), number(1), number(0)]);
add('OneHot', [ints([3], [0, 3, 1]), int(4), int(1), int(0)], attr.int('axis', 0));
add('Fill', [vector(2, 100), data([])]);
add('Range', [int(1), int(10), int(4)]);
add('Range', [number(5), number(0), number(-1.5)]);
const seed = ints([2], [3, 5]);
const f32 = attr.type('dtype', 'float32');
add('StatelessRandomUniform StatelessRandomNormal StatelessTruncatedNormal', [vector(2, 3), seed], f32);
add('StatelessRandomUniform', [vector(4), seed]);
add('Cast', [data([3])], attr.type('DstT', 'int32'));
add('Cast', [ints([3], [0, 1, 300])], attr.type('DstT', 'uint8'));
add('Cast', [s], attr.type('DstT', 'float32'));
add('Cast', [ints([3], [0, 65_535, 256], 'uint16')], attr.type('DstT', 'int32'));
add('Cast', [ints([3], [-127, 0, 127], 'int8')], attr.type('DstT', 'float32'));
add('Bitcast', [data([2, 3])], attr.type('type', 'int32'));
add('Bitcast', [data([2, 3])], attr.type('type', 'uint8'));
add('Bitcast', [ints([2, 4], [0, 0, 128, 63, 0, 0, 0, 64], 'uint8')], attr.type('type', 'float32'));
add('Bitcast', [ints([3, 2], [0, 1, 255, 255, 7, 0], 'uint8')], attr.type('type', 'uint16'));
add('SparseSoftmaxCrossEntropyWithLogits', [data([3, 4]), ints([3], [0, 3, 1])]);
const steps = ints([], [3], 'int64');
const lstm = [data([2, 3]), data([2, 3]), data([4, 12]), data([3]), data([3]), data([3])];
add('BlockLSTMV2', [steps, data([3, 2, 1]), ...lstm, data([12])]);
const states = Array.from({ length: 9 }, () => data([3, 2, 3]));
add(
  'BlockLSTMGradV2',
  [steps, data([3, 2, 1]), ...lstm, data([12]), ...states],
  attr.bool('use_peephole', false),
);

const widen = (x: tf.Tensor) => cast(x, visibleOf(storageOf(x)));
/** Runs a case on given data; also reports the storage types, which have to be read while the tensors live. */
function perform(
  { op, attrs, inputs }: Case,
  fed: (i: number) => tf.Tensor,
): { tensor: tf.Tensor; dtype: DType }[] {
  const tensors = inputs.map((input, i) => ('host' in input ? input.host() : cast(fed(i), input.dtype)));
  return rawOp(op, attrs, tensors).map((tensor) => ({ tensor, dtype: storageOf(tensor) }));
}

let program: Program;
const functions: ProgramFunction[] = [];
const traced: { shape: number[]; dtype: DType }[][] = [];
before(() => {
  const builder = new ProgramBuilder();
  cases.forEach((testCase, n) => {
    const inputs = testCase.inputs.flatMap((input, i) =>
      'host' in input ? [] : [[`input${i}`, { shape: input.shape, dtype: visibleOf(input.dtype) }] as const],
    );
    functions[n] = builder.function(`case${n}`, Object.fromEntries(inputs), (fed) => {
      const outputs = perform(testCase, (i) => fed[`input${i}`]!);
      traced[n] = outputs.map(({ tensor, dtype }) => ({ shape: tensor.shape, dtype }));
      return Object.fromEntries(outputs.map(({ tensor }, i) => [`output${i}`, tensor]));
    });
  });
  program = builder.build();
});
after(() => program.close());

cases.forEach((testCase, n) => {
  const { op, inputs } = testCase;
  const describe = inputs
    .map((input) => ('host' in input ? 'host' : `${input.dtype}[${input.shape}]`))
    .join(' ');
  test(`${op} ${describe}`, () => {
    const feeds = inputs.flatMap((input, i) =>
      'host' in input ? [] : [[`input${i}`, input.values] as const],
    );
    const run = program.run(functions[n]!, Object.fromEntries(feeds));
    tf.tidy(() => {
      const eager = perform(testCase, (i) => {
        const input = inputs[i] as Exclude<Input, { host: unknown }>;
        return tf.tensor(input.values, input.shape, visibleOf(input.dtype));
      });
      assert.deepEqual(
        traced[n],
        eager.map(({ tensor, dtype }) => ({ shape: tensor.shape, dtype })),
        'shape and type while tracing',
      );
      eager.forEach(({ tensor }, k) => {
        const output = run[`output${k}`]!;
        assert.deepEqual(output.shape, tensor.shape);
        const expected = widen(tensor).dataSync();
        assert.equal(output.data.length, expected.length);
        output.data.forEach((x, at) => {
          const y = expected[at] as number;
          assert.ok(
            Object.is(x, y) || Math.abs(x - y) <= 1e-5 * Math.max(1, Math.abs(y)),
            `element ${at}: ${x}, eagerly ${y}`,
          );
        });
      });
    });
  });
});

test('every op has a case', () => {
  const covered = new Set(cases.map(({ op }) => op));
  assert.deepEqual(
    Object.keys(opDefinitions).filter((op) => !covered.has(op)),
    [],
  );
});
