import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TypedArray } from '../dtypes.ts';
import { ProgramBuilder } from '../index.ts';
import { binding, tf } from '../tensorflow.ts';

for (const kind of ['graph', 'eager'] as const)
  test(`${kind}: variables are written in place, together`, async () => {
    const builder = new ProgramBuilder();
    const a = builder.variable({ name: 'a', shape: [3] });
    builder.variable({ name: 'b', shape: [2, 2], dtype: 'int8' });
    builder.variable({ name: 'c', shape: [2], dtype: 'bfloat16' });
    const twice = builder.function('twice', {}, () => ({ y: tf.mul(a.read(), tf.scalar(2)) }));
    const program = kind === 'graph' ? builder.build() : builder.buildEager();
    const tensors = binding.getNumOfTensors();
    let held: TypedArray[] = [];
    await program.fill([
      {
        names: ['a', 'b'],
        async write(values) {
          held = values;
          const [floats, bytes] = values;
          assert.deepEqual([...floats!, ...bytes!], [0, 0, 0, 0, 0, 0, 0]);
          floats!.set([1, 2], 1);
          await new Promise(setImmediate);
          bytes!.fill(-5);
        },
      },
      { names: ['c'], write: ([patterns]) => void patterns!.set([0x3f80, 0xc000]) },
    ]);
    assert.deepEqual([...program.run(twice, {}).y.data], [0, 2, 4]);
    assert.deepEqual(program.read(['b']).get('b'), Int8Array.of(-5, -5, -5, -5));
    assert.deepEqual(program.read(['c']).get('c'), Uint16Array.of(0x3f80, 0xc000));
    if (kind === 'graph') {
      assert.deepEqual(
        held.map(({ length }) => length),
        [0, 0],
        'arrays are detached',
      );
    }
    const broken = program.fill([
      { names: ['a'], write: ([values]) => void values!.fill(9) },
      { names: ['b'], write: () => Promise.reject(new Error('disk gone')) },
    ]);
    await assert.rejects(broken, /disk gone/);
    assert.deepEqual(program.read(['b']).get('b'), Int8Array.of(-5, -5, -5, -5));
    await assert.rejects(program.fill([{ names: ['d'], write: () => {} }]), /no variable "d"/);
    if (kind === 'graph') assert.equal(binding.getNumOfTensors(), tensors);
    program.close();
  });

test('what is not written takes no memory, also when a function has written a part', {
  skip: process.platform === 'linux' ? false : 'pages are dropped on Linux only',
}, async () => {
  const size = 64 << 20;
  const builder = new ProgramBuilder();
  const names = ['slices', 'rows'];
  const slices = builder.variable({ name: names[0]!, shape: [size] });
  const rows = builder.variable({ name: names[1]!, shape: [size / 64, 64] });
  const change = builder.function('change', { x: { shape: [1, 64], dtype: 'float32' } }, ({ x }) => {
    slices.assignSlice(tf.tensor1d([128], 'int32'), tf.reshape(x, [64]));
    rows.assignRows(tf.tensor1d([2], 'int32'), x);
    return { row: rows.gather(tf.tensor1d([1, 2], 'int32')) };
  });
  const program = builder.build();
  const before = process.memoryUsage.rss();
  await program.fill(names.map((name) => ({ names: [name], write: () => {} })));
  const { row } = program.run(change, { x: new Float32Array(64).fill(3) });
  const taken = process.memoryUsage.rss() - before;
  assert.deepEqual([...row.data], [...new Float32Array(64), ...new Float32Array(64).fill(3)]);
  assert.ok(taken < 4 * size * 0.2, `${taken} bytes of two variables of ${4 * size}`);
  program.close();
});
