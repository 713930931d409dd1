/** Tests serving kernels for each instruction set of this CPU: against stock operations, and that rows are independent bit for bit. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attr, kernelSets, ProgramBuilder, tf, useKernels, type Variable } from '@graft/tf-graph';
import { attention } from '../nn/attention/attention.ts';
import { type Heads, RotaryTables, sideBySide } from '../nn/attention/heads.ts';
import { cachedMask } from '../nn/attention/masks.ts';
import { rotationOf } from '../nn/attention/rotary.ts';
import { withComputation } from '../nn/computation.ts';
import { matmul } from '../nn/matmul.ts';
import { Random } from '../random.ts';
import { BLOCK } from './block-pool.ts';
import { listAttention } from './cached-attention.ts';

const sets = kernelSets().filter((set) => set !== 'stock');
const random = new Random(7, 'test');
const floats = (size: number) => Float32Array.from({ length: size }, () => 2 * random.uniform() - 1);

type Given = Record<string, { shape: number[]; data: Float32Array | Int32Array }>;

/** Runs `body` once as a traced function, with variables that hold `state`. */
async function run(
  given: Given,
  body: (inputs: Record<string, tf.Tensor>, state: Variable) => tf.Tensor,
  state: { shape: number[]; data: Float32Array } = { shape: [1], data: new Float32Array(1) },
): Promise<Float32Array> {
  const builder = new ProgramBuilder();
  const variable = builder.variable({ name: 'state', shape: state.shape });
  const inputs = Object.entries(given).map(([name, { shape, data }]) => [
    name,
    { shape, dtype: data instanceof Float32Array ? 'float32' : 'int32' } as const,
  ]);
  const fn = builder.function('f', Object.fromEntries(inputs), (fed) => ({
    y: body(fed as Record<string, tf.Tensor>, variable),
  }));
  const program = builder.build();
  await program.write([['state', state.data]]);
  const feeds = Object.fromEntries(Object.entries(given).map(([name, { data }]) => [name, data]));
  const { y } = program.run(fn, feeds);
  const result = Float32Array.from(y.data);
  program.close();
  return result;
}

function close(found: Float32Array, expected: Float32Array, what: string): void {
  assert.equal(found.length, expected.length);
  const scale = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-6);
  const off = found.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i]!)), 0) / scale;
  assert.ok(off < 3e-6, `${what}: off by ${off}`);
}

test('a row of a product is the same among others as alone, and what stock operations give', async () => {
  for (const [rows, inputs, outputs, transposed] of [
    [1, 5, 3, true],
    [9, 37, 50, true],
    [17, 576, 70, true],
    [6, 40, 33, false],
    [13, 64, 100, false],
  ] as const) {
    const [x, w] = [floats(rows * inputs), floats(inputs * outputs)];
    const matrix = { shape: transposed ? [outputs, inputs] : [inputs, outputs], data: w };
    const product = (count: number, data: Float32Array, rowByRow: boolean) =>
      run({ x: { shape: [count, inputs], data }, w: matrix }, ({ x, w }) =>
        withComputation({ rowByRow }, () => matmul(x!, w!, false, transposed)),
      );
    const expected = await product(rows, x, false);
    for (const set of sets) {
      useKernels(set);
      const found = await product(rows, x, true);
      close(found, expected, `${set}, ${rows} × ${inputs} × ${outputs}`);
      for (let n = 0; n < rows; n++) {
        const alone = await product(1, x.slice(n * inputs, (n + 1) * inputs), true);
        assert.deepEqual(alone, found.slice(n * outputs, (n + 1) * outputs), `${set}: row ${n}`);
      }
    }
  }
});

test('each row gets the update of the adapter it belongs to, and a negative owner none', async () => {
  const [inputs, outputs] = [20, 27];
  const owners = [1, 1, 1, 1, 1, -1, 0, 1, 0];
  const ranks = [3, 70];
  const scales = [0.5, 2];
  const places: number[] = [];
  let size = 0;
  for (const rank of ranks) {
    // The second of two modules; the first has no update.
    places.push(0, 0, 0, size, size + rank * inputs, rank);
    size += rank * (inputs + outputs);
  }
  const arena = floats(size);
  const [x, y] = [floats(owners.length * inputs), floats(owners.length * outputs)];
  const expected = Float32Array.from(y);
  for (const [n, owner] of owners.entries()) {
    if (owner < 0) continue;
    const [a, b] = [places[6 * owner + 3]!, places[6 * owner + 4]!];
    for (let r = 0; r < ranks[owner]!; r++) {
      let down = 0;
      for (let i = 0; i < inputs; i++) down += x[n * inputs + i]! * arena[a + r * inputs + i]!;
      for (let o = 0; o < outputs; o++)
        expected[n * outputs + o]! += scales[owner]! * down * arena[b + r * outputs + o]!;
    }
  }
  const update = (module: number, owners: number[], places: number[]) =>
    run(
      {
        y: { shape: [owners.length, outputs], data: y.slice(0, owners.length * outputs) },
        x: { shape: [owners.length, inputs], data: x.slice(0, owners.length * inputs) },
        owners: { shape: [owners.length], data: Int32Array.from(owners) },
        places: { shape: [2, 2, 3], data: Int32Array.from(places) },
        scales: { shape: [2, 2], data: Float32Array.from([9, scales[0]!, 9, scales[1]!]) },
      },
      ({ y, x, owners, places, scales }, arena) =>
        arena.inPlace(
          'GraftRowUpdates',
          [attr.ints('modules', [module]), attr.ints('widths', [outputs])],
          [y!, x!, owners!, places!, scales!],
        )[0]!,
      { shape: [size], data: arena },
    );
  for (const set of sets) {
    useKernels(set);
    close(await update(1, owners, places), expected, set);
    assert.deepEqual(await update(0, owners, places), y, 'without an update a row is as it was');
    await assert.rejects(update(1, [2], places), /unknown adapter/);
    await assert.rejects(update(1, owners, [...places.slice(0, 9), size, size, 70]), /not within the arena/);
  }
});

/** Two sequences with a gap between them: one continues after 21 positions, one is new. */
const own = [5, 19];
const before = [21, 0];
const starts = [0, 7];
const positions = 26;
/** Blocks in arbitrary order. */
const blocks = [
  [4, 1],
  [2, 6],
];

for (const { window, headSize, rotated, sunk } of [
  { window: 0, headSize: 64, rotated: true, sunk: false },
  { window: 9, headSize: 12, rotated: true, sunk: true },
  { window: 0, headSize: 5, rotated: false, sunk: false },
]) {
  test(`attention over blocks: heads of ${headSize}, window ${window}${sunk ? ', sinks' : ''}`, async () => {
    const [heads, kvHeads] = [6, 2];
    const width = 2 * kvHeads * headSize;
    const cache = floats(8 * BLOCK * width);
    // Remains of earlier sequences must not be read.
    for (const row of [1 * BLOCK + 11, 6 * BLOCK + 4]) cache.fill(Number.NaN, row * width, (row + 1) * width);
    const q = floats(positions * heads * headSize);
    const [k, v] = [floats(positions * kvHeads * headSize), floats(positions * kvHeads * headSize)];
    const frequencies = Array.from({ length: Math.floor(headSize / 2) }, (_, i) => 1 / 3 ** i);
    const at = new Int32Array(positions);
    for (const [s, start] of starts.entries())
      for (let i = 0; i < own[s]!; i++) at[start + i] = before[s]! + i;
    const scores = sunk ? [-2, 3, 0, 0.5, 1, -9] : null;
    const sinksOf = () => (scores ? { sinks: tf.tensor1d(scores) } : {});
    const siteOf = (positions: tf.Tensor): Heads => ({
      heads,
      kvHeads,
      headSize,
      scale: 0.3,
      ...(rotated ? { rotation: rotationOf(positions, frequencies) } : {}),
    });
    const kernel = (from: number[], to: number[], state: Float32Array) =>
      run(
        {
          q: { shape: [positions, heads * headSize], data: q },
          k: { shape: [positions, kvHeads * headSize], data: k },
          v: { shape: [positions, kvHeads * headSize], data: v },
          at: { shape: [positions], data: at },
          spans: {
            shape: [2, 3],
            data: Int32Array.from(
              starts.flatMap((start, s) => [start + from[s]!, start + to[s]!, before[s]! + from[s]!]),
            ),
          },
          blocks: { shape: [2, 2], data: Int32Array.from(blocks.flat()) },
        },
        ({ q, k, v, at, spans, blocks }, cache) => {
          const attend = listAttention(new Map([[0, cache]]), spans!, blocks!);
          const site = { layer: 0, window: window || null, ...siteOf(at!), ...sinksOf() };
          const y = attend(site, [q!, k!, v!]);
          return tf.concat(
            [tf.reshape(y, [-1]), tf.reshape(cache.gather(tf.range(0, 8 * BLOCK, 1, 'int32')), [-1])],
            0,
          );
        },
        { shape: [8 * BLOCK, width], data: state },
      );
    /** Attention of sequence `s` with stock operations. */
    const stock = async (s: number) => {
      const rows = Array.from(
        { length: before[s]! },
        (_, p) => blocks[s]![Math.floor(p / BLOCK)]! * BLOCK + (p % BLOCK),
      );
      const past = Float32Array.from(rows.flatMap((row) => [...cache.slice(row * width, (row + 1) * width)]));
      const part = (data: Float32Array, columns: number) => ({
        shape: [own[s]!, columns],
        data: data.slice(starts[s]! * columns, (starts[s]! + own[s]!) * columns),
      });
      return run(
        {
          q: part(q, heads * headSize),
          k: part(k, kvHeads * headSize),
          v: part(v, kvHeads * headSize),
          at: { shape: [own[s]!], data: at.slice(starts[s]!, starts[s]! + own[s]!) },
          past: { shape: [rows.length + 1, width], data: Float32Array.from([...past, ...floats(width)]) },
        },
        ({ q, k, v, at, past }) => {
          const each = new RotaryTables().byHead([q!, k!, v!], siteOf(at!), 1);
          const known = tf.slice(past!, [0, 0], [rows.length, width]);
          const [keys, values] = tf.split(known, 2, 1) as [tf.Tensor, tf.Tensor];
          const whole = (fresh: tf.Tensor, known: tf.Tensor) => {
            const old = tf.transpose(tf.reshape(known, [1, rows.length, kvHeads, headSize]), [0, 2, 1, 3]);
            return tf.concat([old, fresh], 2);
          };
          const mask = cachedMask(at!, 1, rows.length + own[s]!, window || null);
          return sideBySide(attention(each.q, whole(each.k, keys), whole(each.v, values), mask, sinksOf()));
        },
      );
    };
    const size = positions * heads * headSize;
    const row = heads * headSize;
    for (const set of sets) {
      useKernels(set);
      const whole = await kernel([0, 0], own, cache);
      for (const s of [0, 1]) {
        const found = whole.slice(starts[s]! * row, (starts[s]! + own[s]!) * row);
        close(found, await stock(s), `${set}, sequence ${s}`);
      }
      assert.ok(
        whole.slice(5 * row, 7 * row).every((x) => x === 0),
        'positions of no sequence',
      );
      // In two pieces; the second reads the cache that the first has written.
      const first = await kernel([0, 0], [2, 11], cache);
      const second = await kernel([2, 11], own, first.slice(size));
      assert.deepEqual(second.slice(size), whole.slice(size), `${set}: the cache`);
      for (const s of [0, 1]) {
        const end = starts[s]! + own[s]! - 1;
        assert.deepEqual(
          second.slice(end * row, (end + 1) * row),
          whole.slice(end * row, (end + 1) * row),
          set,
        );
      }
    }
  });
}

test('a block that is not in the cache is refused', async () => {
  useKernels();
  const int = (shape: number[], ...values: number[]) => ({ shape, data: Int32Array.from(values) });
  const ask = (span: number[], block: number) =>
    run(
      { x: { shape: [2, 8], data: floats(16) }, spans: int([1, 3], ...span), blocks: int([1, 1], block) },
      ({ x, spans, blocks }, cache) => {
        const site = { layer: 0, heads: 1, kvHeads: 1, headSize: 8, scale: 1 };
        return listAttention(new Map([[0, cache]]), spans!, blocks!)(site, [x!, x!, x!]);
      },
      { shape: [2 * BLOCK, 16], data: floats(2 * BLOCK * 16) },
    );
  await ask([0, 2, 0], 1);
  for (const [span, block] of [
    [[0, 2, 0], 2],
    [[0, 2, 0], -1],
    [[0, 3, 0], 1],
    [[1, 0, 0], 1],
    [[0, 2, 15], 1],
  ] as const)
    await assert.rejects(ask([...span], block), /not within the list and the cache/);
});
