import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgramBuilder } from '../program/program-builder.ts';
import { tf } from '../tensorflow.ts';
import { recordFunctions } from './recording.ts';

const twoFunctions = () => {
  const builder = new ProgramBuilder();
  const w = builder.variable({ name: 'w', shape: [3, 3], dtype: 'bfloat16' });
  const x = { x: { shape: [2, 3], dtype: 'float32' } } as const;
  builder.function('product', x, ({ x }) => ({ y: tf.matMul(x, w.read()) }));
  builder.function('sum', x, ({ x }) => ({ y: tf.sum(x) }));
  return builder.build();
};

test('of each function the nodes that it needs, with types and shapes, each after its inputs', async () => {
  const functions = await recordFunctions(async () => twoFunctions().close());
  assert.deepEqual(
    functions.map(({ name }) => name),
    ['product', 'sum'],
  );
  const [{ nodes, feeds, fetches }, sum] = functions as [(typeof functions)[0], (typeof functions)[0]];
  const cast = nodes.find(({ op }) => op === 'Cast')!;
  assert.deepEqual(cast.outputs, [{ dtype: 'float32', shape: [3, 3] }]);
  assert.deepEqual(nodes.find(({ name }) => `${name}:0` === cast.inputs[0])!.op, 'ReadVariableOp');
  const known = new Set<string>();
  for (const { name, inputs, controls } of nodes) {
    for (const input of inputs) assert.ok(known.has(input.slice(0, input.lastIndexOf(':'))), input);
    for (const control of controls) assert.ok(known.has(control), control);
    known.add(name);
  }
  for (const ref of [...feeds, ...fetches]) assert.ok(known.has(ref.slice(0, -2)));
  assert.ok(!sum.nodes.some(({ op }) => op === 'ReadVariableOp'));
});

test('nothing is recorded of a program that was built before or after', async () => {
  twoFunctions().close();
  assert.deepEqual(await recordFunctions(async () => {}), []);
  twoFunctions().close();
});
