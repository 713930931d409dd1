import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fromBfloat16, toBfloat16 } from '../bfloat16.ts';
import { cast, rawOp, storageOf } from '../ops/raw-op.ts';
import { binding, tf } from '../tensorflow.ts';
import type { Program, ProgramFunction } from './program.ts';
import { ProgramBuilder } from './program-builder.ts';

// Properties of every program, traced or eager.
const kinds: [string, (builder: ProgramBuilder) => Program][] = [
  ['graph', (builder) => builder.build()],
  ['eager', (builder) => builder.buildEager()],
];
const ramp = (length: number, scale = 1) => Float32Array.from({ length }, (_, i) => scale * Math.sin(i + 1));
const float = (...shape: number[]) => ({ shape, dtype: 'float32' }) as const;
const int = (...shape: number[]) => ({ shape, dtype: 'int32' }) as const;

for (const [kind, make] of kinds)
  describe(kind, () => {
    test('reads, assigns, and sees the old value until the run ends', async () => {
      const builder = new ProgramBuilder();
      const count = builder.variable({ name: 'count', shape: [2] });
      const copy = builder.variable({ name: 'copy', shape: [2] });
      const step = builder.function('step', { by: float() }, ({ by }) => {
        const before = count.read();
        count.assign(tf.add(before, by));
        copy.assign(count.read({ after: [by] }));
        return { before, again: count.read() };
      });
      const look = builder.function('look', {}, () => ({ count: count.read(), copy: copy.read() }));
      const program = make(builder);
      await program.write([['count', Float32Array.of(1, 2)]]);
      assert.deepEqual([...program.run(step, { by: Float32Array.of(10) }).again.data], [1, 2]);
      assert.deepEqual([...program.run(step, { by: Float32Array.of(100) }).before.data], [11, 12]);
      const { count: now, copy: last } = program.run(look, {});
      assert.deepEqual([now.shape, [...now.data], [...last.data]], [[2], [111, 112], [11, 12]]);
      assert.deepEqual(program.read(['copy', 'count']).get('count'), Float32Array.of(111, 112));
      program.close();
    });

    test('writes a slice in place; reads before it see the old value, reads after it the new one', async () => {
      const builder = new ProgramBuilder();
      const cache = builder.variable({ name: 'cache', shape: [2, 4] });
      const put = builder.function('put', { at: int(2), value: float(2, 1) }, ({ at, value }) => {
        const before = cache.read();
        const whole = cache.assignSlice(at, value);
        const second = cache.assignSlice(tf.zeros([2], 'int32'), tf.fill([1, 1], 9));
        return { before, whole, second, after: cache.read() };
      });
      const program = make(builder);
      await program.write([['cache', new Float32Array(8)]]);
      const out = program.run(put, { at: Int32Array.of(0, 2), value: Float32Array.of(5, 6) });
      assert.deepEqual([...out.before.data], [0, 0, 0, 0, 0, 0, 0, 0]);
      assert.deepEqual([...out.whole.data], [0, 0, 5, 0, 0, 0, 6, 0]);
      assert.deepEqual([...out.second.data], [9, 0, 5, 0, 0, 0, 6, 0]);
      assert.deepEqual([...out.after.data], [...out.second.data]);
      program.close();
    });

    test('stores bfloat16, bytes, integers and flags', async () => {
      const builder = new ProgramBuilder();
      const table = builder.variable({ name: 'table', shape: [3, 5], dtype: 'bfloat16' });
      const bytes = builder.variable({ name: 'bytes', shape: [4], dtype: 'uint8' });
      const small = builder.variable({ name: 'small', shape: [2], dtype: 'int8' });
      const whole = builder.variable({ name: 'whole', shape: [2], dtype: 'int32' });
      const flags = builder.variable({ name: 'flags', shape: [3], dtype: 'bool' });
      const unpack = builder.function('unpack', { ids: int(2) }, ({ ids }) => {
        assert.equal(storageOf(bytes.read()), 'uint8');
        assert.equal(storageOf(table.read()), 'float32');
        const stored = table.read({ stored: true });
        assert.equal(storageOf(stored), kind === 'graph' ? 'bfloat16' : 'float32');
        assert.equal(stored.dtype, 'float32');
        const high = rawOp('RightShift', [], [bytes.read(), tf.scalar(4, 'int32')])[0]!;
        const next = { whole: tf.add(whole.read(), 1), table: tf.mul(table.read(), 2) };
        whole.assign(next.whole);
        table.assign(next.table);
        return {
          rows: table.gather(ids),
          doubled: tf.add(stored, table.read({ stored: true, after: [ids] })),
          high,
          high32: cast(high, 'int32'),
          small: small.read(),
          flags: flags.read(),
          whole: next.whole,
        };
      });
      const program = make(builder);
      const values = ramp(15);
      await program.write([
        ['table', values],
        ['bytes', Uint8Array.of(0, 255, 17, 32)],
        ['small', Int8Array.of(-3, 7)],
        ['whole', Int32Array.of(-4, 70000)],
        ['flags', Uint8Array.of(1, 0, 1)],
      ]);
      const stored = program.read(['table', 'bytes', 'whole']);
      assert.deepEqual(stored.get('table'), toBfloat16(values));
      assert.deepEqual(stored.get('bytes'), Uint8Array.of(0, 255, 17, 32));
      assert.deepEqual(stored.get('whole'), Int32Array.of(-4, 70000));
      const rounded = fromBfloat16(toBfloat16(values));
      const out = program.run(unpack, { ids: Int32Array.of(2, 0) });
      assert.deepEqual([...out.rows.data], [...rounded.slice(10), ...rounded.slice(0, 5)]);
      for (const name of ['high', 'high32'] as const) assert.deepEqual([...out[name].data], [0, 15, 1, 2]);
      assert.deepEqual([...out.doubled.data], [...rounded.map((x) => 2 * x)]);
      assert.deepEqual([...out.small.data], [-3, 7]);
      assert.deepEqual(out.flags.data, Uint8Array.of(1, 0, 1));
      assert.deepEqual(program.read(['whole']).get('whole'), Int32Array.of(-3, 70001));
      assert.deepEqual(program.read(['table']).get('table'), toBfloat16(rounded.map((x) => 2 * x)));
      await program.write([['table', toBfloat16(values)]]);
      assert.deepEqual(program.read(['table']).get('table'), toBfloat16(values));
      program.close();
    });

    test('streams values and lets the source fail without a leak', async () => {
      const builder = new ProgramBuilder();
      for (const name of ['a', 'b', 'c']) builder.variable({ name, shape: [5] });
      const program = make(builder);
      async function* values(): AsyncGenerator<[string, Float32Array]> {
        // Views at every alignment, changed after they were passed on.
        const buffer = new Float32Array(64);
        for (const [i, name] of ['a', 'b', 'a', 'c'].entries()) {
          const view = buffer.subarray(i * 7, i * 7 + 5).fill(i);
          yield [name, view];
          view.fill(-1);
        }
      }
      const tensors = binding.getNumOfTensors();
      await program.write(values());
      assert.deepEqual(
        [...program.read(['a', 'c']).values()],
        [new Float32Array(5).fill(2), new Float32Array(5).fill(3)],
      );
      async function* broken(): AsyncGenerator<[string, Float32Array]> {
        yield ['b', new Float32Array(5)];
        throw new Error('disk gone');
      }
      await assert.rejects(program.write(broken()), /disk gone/);
      if (kind === 'graph') assert.equal(binding.getNumOfTensors(), tensors);
      program.close();
    });

    test('grows while it is used: new functions share the variables, which keep their values', async () => {
      const builder = new ProgramBuilder();
      const w = builder.variable({ name: 'w', shape: [3] });
      const double = builder.function('double', {}, () => {
        const doubled = tf.mul(w.read(), tf.tensor1d([2, 2, 2.5]));
        w.assign(doubled);
        return { doubled };
      });
      const program = make(builder);
      await program.write([['w', ramp(3)]]);
      program.run(double, {});
      const held = program.read(['w']).get('w') as Float32Array;

      const b = builder.variable({ name: 'b', shape: [3] });
      const sum = builder.function('sum', { x: float(3) }, ({ x }) => {
        const next = tf.add(tf.mul(w.read({ after: [x] }), tf.tensor1d([2, 2, 2.5])), tf.add(b.read(), x));
        b.assign(next);
        return { next };
      });
      assert.throws(() => program.run(sum, { x: ramp(3) }), /no function "sum"/);
      builder.extend(program);
      await program.write([['b', Float32Array.of(1, 2, 3)]]);
      const { next } = program.run(sum, { x: Float32Array.of(10, 20, 30) });
      const expected = [...held].map((x, i) => Math.fround(x * [2, 2, 2.5][i]!) + 11 * (i + 1));
      for (const [i, x] of next.data.entries()) assert.ok(Math.abs(x - expected[i]!) < 1e-5);
      assert.deepEqual(program.read(['b', 'w']).get('b'), next.data);
      assert.deepEqual(program.read(['w']).get('w'), held);
      program.run(double, {});
      assert.notDeepEqual(program.read(['w']).get('w'), held);
      program.close();
    });

    test('errors name the thing', async () => {
      const builder = new ProgramBuilder();
      const w = builder.variable({ name: 'w', shape: [2, 2] });
      assert.throws(() => builder.variable({ name: 'w', shape: [1] }), /already has a variable "w"/);
      assert.throws(() => w.read(), /variable "w" is only usable inside a function/);
      const f = builder.function('f', { x: float(2), n: int() }, ({ x }) => ({ y: tf.mul(w.read(), x) }));
      assert.throws(() => builder.function('f', {}, () => ({})), /already has a function "f"/);
      const program = make(builder);
      const feeds = { x: ramp(2), n: Int32Array.of(1) };
      const [g, untyped]: ProgramFunction[] = [{ ...f, name: 'g' }, f];
      assert.throws(() => program.run(g!, feeds), /no function "g"/);
      assert.throws(() => program.run(untyped!, { x: ramp(2) }), /needs a feed for its input "n"/);
      assert.throws(() => program.run(untyped!, { ...feeds, z: ramp(1) }), /no input "z"/);
      assert.throws(
        () => program.run(f, { ...feeds, x: ramp(3) }),
        /feed "x" of function "f" has 3 elements where shape \[2\]/,
      );
      assert.throws(
        () => program.run(f, { ...feeds, n: ramp(1) }),
        /feed "n" .* must be a Int32Array, not a Float32Array/,
      );
      assert.throws(
        () => program.run(f, feeds),
        /variable "w", which has no value|variable "w" has no value/,
      );
      assert.throws(() => program.read(['w']), /variable "w"/);
      assert.throws(() => program.read(['v']), /no variable "v"/);
      await assert.rejects(program.write([['v', ramp(4)]]), /no variable "v"/);
      await assert.rejects(
        program.write([['w', ramp(3)]]),
        /value of variable "w" has 3 elements where shape \[2,2\] needs 4/,
      );
      await assert.rejects(
        program.write([['w', Int32Array.of(1, 2, 3, 4)]]),
        /must be a Float32Array, not a Int32Array/,
      );
      await program.write([['w', ramp(4)]]);
      assert.equal(program.run(f, feeds).y.data.length, 4);
      program.close();
      assert.throws(() => program.run(f, feeds), /closed|no value/);
    });

    test('an assignment of another shape, or a second one, is refused', async () => {
      const run = async (body: (w: ReturnType<ProgramBuilder['variable']>) => void) => {
        const builder = new ProgramBuilder();
        const w = builder.variable({ name: 'w', shape: [2] });
        const f = builder.function('f', {}, () => {
          body(w);
          return {};
        });
        const program = make(builder);
        await program.write([['w', ramp(2)]]);
        program.run(f, {});
      };
      await assert.rejects(
        run((w) => w.assign(tf.zeros([3]))),
        /variable "w" is assigned/,
      );
      const twice = (w: ReturnType<ProgramBuilder['variable']>) => {
        w.assign(tf.zeros([2]));
        w.assign(tf.ones([2]));
      };
      await assert.rejects(run(twice), /variable "w" is assigned twice/);
    });
  });

test('what tfjs computes of bfloat16 is computed in float32; what only moves it leaves it as it is stored', () => {
  const builder = new ProgramBuilder();
  const f = builder.function('f', { x: float(2) }, ({ x }) => {
    const narrow = cast(x, 'bfloat16');
    const moved = tf.reshape(narrow, [2, 1]);
    const [product, joined] = [tf.mul(narrow, x), tf.concat([narrow, x], 0)];
    assert.deepEqual([moved, product, joined].map(storageOf), ['bfloat16', 'float32', 'float32']);
    return { product, joined };
  });
  const program = builder.build();
  const { product, joined } = program.run(f, { x: Float32Array.of(1.001, 3) });
  assert.deepEqual([...product.data], [Math.fround(1.001), 9]);
  assert.deepEqual([...joined.data], [1, 3, Math.fround(1.001), 3]);
  program.close();
});

test('an unknown op, a value read on the host, mixed types and shapes that are not static are reported', () => {
  const build = (body: (x: tf.Tensor) => tf.Tensor) => {
    const builder = new ProgramBuilder();
    builder.function('f', { x: float(2) }, ({ x }) => ({ y: body(x) }));
    return () => builder.build();
  };
  assert.throws(
    build((x) => rawOp('Lgama', [], [x])[0]!),
    /Op type not registered 'Lgama'/,
  );
  assert.throws(
    build((x) => tf.scalar(x.dataSync()[0]!)),
    /f\/in\/x:0 is a symbolic tensor: it has no value/,
  );
  assert.throws(
    build((x) => rawOp('Mul', [], [cast(x, 'bfloat16'), x])[0]!),
    /Mul: input 1 is float32 where bfloat16 is needed/,
  );
  assert.throws(
    build((x) => rawOp('Add', [], [x, tf.zeros([3])])[0]!),
    /Dimensions must be equal, but are 2 and 3/,
  );
  assert.throws(
    build((x) => rawOp('Fill', [], [tf.cast(x, 'int32'), tf.scalar(1)])[0]!),
    /f\/Fill_\d+:0 has no static shape/,
  );
});
