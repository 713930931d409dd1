import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBfloat16 } from '@graft/tf-graph/bfloat16';
import { splitStack, stackedTensors } from './stacked-tensors.ts';
import type { HostTensor, TensorSource } from './tensor-source.ts';

const names = {
  'experts.wide': ['experts.*.first.weight', 'experts.*.second.weight'],
  'experts.narrow': ['experts.*.third.weight'],
};

const sourceOf = (tensors: Record<string, HostTensor>): TensorSource => {
  const values = (name: string, out?: Float32Array) => {
    const { data } = tensors[name]!;
    if (!out) return data;
    out.set(data);
    return out;
  };
  return {
    names: () => Object.keys(tensors),
    has: (name) => name in tensors,
    info: (name) => ({ dtype: 'F32', shape: tensors[name]!.shape }),
    readFloat32: async (name, out) => values(name, out),
    readBfloat16: async (name, out = new Uint16Array(tensors[name]!.data.length)) => {
      out.set(tensors[name]!.data);
      return out;
    },
  };
};
const matrix = (shape: number[], first: number): HostTensor => ({
  shape,
  data: Float32Array.from({ length: shape[0]! * shape[1]! }, (_, i) => first + i),
});

test('matrices of experts become one tensor, in the order of experts', async () => {
  const tensors: Record<string, HostTensor> = { 'layers.0.gate.weight': matrix([1, 2], 900) };
  // Twelve experts: 10 comes after 9, not after 1.
  for (let expert = 0; expert < 12; expert++) {
    tensors[`layers.0.experts.${expert}.second.weight`] = matrix([1, 2], 100 * expert + 50);
    tensors[`layers.0.experts.${expert}.first.weight`] = matrix([1, 2], 100 * expert);
    tensors[`layers.0.experts.${expert}.third.weight`] = matrix([2, 1], 100 * expert + 70);
  }
  const source = stackedTensors(sourceOf(tensors), names);
  assert.deepEqual(source.names(), [
    'layers.0.gate.weight',
    'layers.0.experts.wide',
    'layers.0.experts.narrow',
  ]);
  assert.deepEqual(source.info('layers.0.experts.wide').shape, [12, 2, 2]);
  const out = new Float32Array(48);
  assert.equal(await source.readFloat32('layers.0.experts.wide', out), out);
  assert.deepEqual([...out.subarray(40, 44)], [1000, 1001, 1050, 1051]);
  assert.deepEqual([...(await source.readBfloat16('layers.0.experts.narrow'))].slice(-2), [1170, 1171]);
  const parts = splitStack('layers.0.experts.wide', [12, 2, 2], names);
  assert.deepEqual(parts[3], { name: 'layers.0.experts.1.second.weight', shape: [1, 2], start: 6 });
});

test('parts with the matrices of all experts', async () => {
  const whole = (first: number): HostTensor => ({ ...matrix([3, 2], first), shape: [3, 1, 2] });
  const source = stackedTensors(
    sourceOf({ 'a.up.weight': whole(100), 'a.gate.weight': whole(0), 'a.down.weight': whole(200) }),
    { both: ['gate.weight', 'up.weight'], one: ['down.weight'] },
  );
  assert.deepEqual(source.info('a.both').shape, [3, 2, 2]);
  assert.deepEqual(
    [...(await source.readFloat32('a.both'))],
    [0, 1, 100, 101, 2, 3, 102, 103, 4, 5, 104, 105],
  );
  assert.deepEqual([...(await source.readFloat32('a.one'))], [200, 201, 202, 203, 204, 205]);
});

test('rows of the parts in turn, read in pieces that end within a row, and biases', async () => {
  const whole = (first: number): HostTensor => ({ ...matrix([4, 3], first), shape: [2, 2, 3] });
  const tensors = {
    'a.up.weight': whole(100),
    'a.gate.weight': whole(0),
    'a.gate.bias': matrix([2, 2], 20),
    'a.up.bias': matrix([2, 2], 60),
  };
  const inPieces: TensorSource = {
    ...sourceOf(tensors),
    async readPieces(name, take) {
      const { data } = tensors[name as keyof typeof tensors];
      for (let at = 0; at < data.length; at += 5) await take(data.slice(at, at + 5));
    },
  };
  const stacked = { both: ['gate.weight', 'up.weight'], bias: ['gate.bias', 'up.bias'] };
  const source = stackedTensors(inPieces, stacked, { alternating: true });
  assert.deepEqual(source.info('a.both').shape, [2, 4, 3]);
  const rows = [0, 100, 3, 103, 6, 106, 9, 109].flatMap((first) => [first, first + 1, first + 2]);
  assert.deepEqual([...(await source.readFloat32('a.both'))], rows);
  const bits = fromBfloat16(await source.readBfloat16('a.both'));
  assert.deepEqual([...bits], rows);
  assert.deepEqual(source.info('a.bias').shape, [2, 4]);
  assert.deepEqual([...(await source.readFloat32('a.bias'))], [20, 60, 21, 61, 22, 62, 23, 63]);
});

test('a missing matrix, and one of another shape, are named', () => {
  const two = { 'experts.0.third.weight': matrix([2, 1], 0), 'experts.2.third.weight': matrix([2, 1], 0) };
  assert.throws(() => stackedTensors(sourceOf(two), names), /experts\.narrow lacks a matrix of expert 1/);
  const odd = { 'experts.0.third.weight': matrix([2, 1], 0), 'experts.1.third.weight': matrix([1, 2], 0) };
  assert.throws(() => stackedTensors(sourceOf(odd), names), /"experts\.1\.third\.weight" has shape \[1,2\]/);
});

test('a source without such parts is left as it is', () => {
  const source = sourceOf({ 'experts.wide': matrix([2, 2], 0) });
  assert.equal(stackedTensors(source, names), source);
});
