import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type DType, sizeOf, type TypedArray, visibleOf } from '../dtypes.ts';
import { type Attr, attr } from '../graph/attributes.ts';
import type { Program, ProgramFunction } from '../program/program.ts';
import { ProgramBuilder } from '../program/program-builder.ts';
import { tf } from '../tensorflow.ts';
import { cast, rawOp, storageOf } from './raw-op.ts';

// Each case runs twice, eagerly and as a traced function in a session; shapes, types and values must agree.

/** Data is fed, and therefore unknown while tracing; a host value is a constant. */
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
const ints = (shape: number[], values: number[], dtype: DType = 'int32') => data(shape, dtype, values);
const vector = (...values: number[]): Input => ({ host: () => tf.tensor1d(values, 'int32') });
const int = (value: number): Input => ({ host: () => tf.scalar(value, 'int32') });
const number = (value: number): Input => ({ host: () => tf.scalar(value) });

// A constant adopts the type of the tensors it is combined with.
const bytes = ints([3], [200, 17, 255], 'uint8');
add('Add Mul Maximum', [data([2, 1, 3]), data([4, 3])]);
add('AddV2 Sub FloorDiv', [ints([3], [4, -2, 9]), int(2)]);
add('BitwiseAnd RightShift', [bytes, int(4)]);
add('Less', [data([2, 3]), number(0)]);
add('SelectV2', [ints([3], [1, 0, 1], 'bool'), data([2, 3]), number(0)]);
add('OneHot', [ints([3], [0, 3, 1]), int(4), int(1), int(0)], attr.int('axis', 0));
// Types that no input determines, given or not.
add('Cast', [data([3])], attr.type('DstT', 'int32'));
add('Cast', [ints([3], [0, 65_535, 256], 'uint16')], attr.type('DstT', 'int32'));
add('ArgMax', [data([5]), int(-1)], attr.type('output_type', 'int32'));
add('Bitcast', [data([2, 3])], attr.type('type', 'uint8'));
add('StatelessRandomUniform', [vector(4), ints([2], [3, 5])]);
add('StatelessRandomNormal', [vector(2, 3), ints([2], [3, 5])], attr.type('dtype', 'float32'));
// Lists of inputs: alone, before another input, after one.
add('AddN', [data([2, 3]), data([2, 3]), data([2, 3])]);
add('Pack', [data([2, 3]), data([2, 3])], attr.int('axis', 1));
add('ConcatV2', [data([2, 3]), data([2, 1]), data([2, 2]), int(-1)]);
add('Concat', [int(1), data([2, 3]), data([2, 1])]);
// Several outputs, lists of them.
add('TopKV2', [data([2, 5]), int(3)]);
add('Unpack', [data([2, 3])], attr.int('axis', 1), attr.int('num', 3));
add('Split', [int(1), data([2, 6])], attr.int('num_split', 3));
add('SplitV', [data([2, 6]), vector(1, -1, 2), int(-1)], attr.int('num_split', 3));
add('SparseSoftmaxCrossEntropyWithLogits', [data([3, 4]), ints([3], [0, 3, 1])]);
// Shapes that depend on host values.
add('Reshape', [data([2, 3, 4]), vector(4, -1)]);
add('Reshape', [data([1]), vector()]);
add('Squeeze', [data([1, 2, 1, 3])], attr.ints('squeeze_dims', [-2]));
add('Sum', [data([2, 3, 4]), vector(-1, 0)], attr.bool('keep_dims', true));
add('Slice', [data([3, 4]), ints([2], [1, 1]), vector(2, 2)]); // the start is data
add('StridedSlice', [data([5, 6]), vector(-1, 0), vector(0, 3), vector(-2, 1)], attr.int('end_mask', 1));
add('Fill', [vector(2, 100), data([])]);
add('Range', [number(5), number(0), number(-1.5)]);
add('ScatterNd', [ints([3, 1], [4, 0, 4]), data([3, 2]), vector(5, 2)]);
add('UnsortedSegmentSum', [data([4, 2]), ints([4], [2, 0, 2, 1]), int(3)]);
add('BatchMatMulV2', [data([2, 4, 3]), data([5, 4])], attr.bool('adj_x', true), attr.bool('adj_y', true));
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
/** Runs a case on given data; also returns the storage types, which must be read while the tensors live. */
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
