/** Graft's own ops reject unsupported shapes with an error: an op that reads past its inputs would crash the process. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { sizeOf } from '../dtypes.ts';
import { type Attr, attr } from '../graph/attributes.ts';
import { kernelSet, kernelSets } from '../kernels.ts';
import { tf } from '../tensorflow.ts';
import { rawOp } from './raw-op.ts';

interface Case {
  op: string;
  attrs?: Attr[];
  /** Shapes of supported inputs; int32 if values are given. */
  inputs: (number[] | { shape: number[]; values: number[] })[];
  /** Inputs of which only the number of elements matters. */
  anyRank?: number[];
}

const ints = (shape: number[], ...values: number[]) => ({ shape, values });
const attention = (heads = 4, kvHeads = 2, headSize = 8, window = 0) => [
  attr.int('count', 1),
  attr.int('heads', heads),
  attr.int('kv_heads', kvHeads),
  attr.int('head_size', headSize),
  attr.float('scale', 1),
  attr.bool('causal', true),
  attr.int('window', window),
  attr.bool('cross', false),
  attr.float('dropout', 0),
];
const attended = [[5, 64], [0, 0], [0, 0], ints([1, 4], 0, 5, 0, 0), [0, 0]];
const seed = ints([2], 1, 2);

const cases: Case[] = [
  { op: 'GraftActivation', attrs: [attr.string('curve', 'silu')], inputs: [[3, 4]], anyRank: [0] },
  { op: 'GraftGatedProduct', attrs: [attr.int('count', 1), attr.string('curve', 'silu')], inputs: [[3, 8]] },
  {
    op: 'GraftGatedProductGradient',
    attrs: [attr.int('count', 1), attr.string('curve', 'silu')],
    inputs: [
      [3, 4],
      [3, 8],
    ],
    anyRank: [0],
  },
  { op: 'GraftAttention', attrs: attention(), inputs: [...attended, seed, [4]], anyRank: [5] },
  { op: 'GraftAttention', attrs: attention(), inputs: [...attended, seed, [0]], anyRank: [5] },
  {
    op: 'GraftAttentionGradient',
    attrs: attention(),
    inputs: [...attended, seed, [5, 32], [5, 4], [5, 32]],
    anyRank: [5, 7],
  },
  { op: 'GraftBiasAdd', inputs: [[3, 4], [4]], anyRank: [1] },
  { op: 'GraftScaleColumns', inputs: [[3, 4], [4]], anyRank: [1] },
  { op: 'GraftScaleColumnsGradient', inputs: [[3, 4], [3, 4], [4]], anyRank: [2] },
  { op: 'GraftDropout', attrs: [attr.float('probability', 0.5)], inputs: [[3, 4], seed], anyRank: [0] },
  {
    op: 'GraftCrossEntropy',
    attrs: [attr.bool('with_gradient', true)],
    inputs: [[3, 7], ints([3], 0, 1, 6), [3]],
    anyRank: [1, 2],
  },
  { op: 'GraftScatterRows', inputs: [[3, 4], ints([3], 0, 1, 1), [2, 4]], anyRank: [1] },
  {
    op: 'GraftLowRankAdd',
    attrs: [attr.int('count', 1), attr.ints('offsets', [0]), attr.bool('transposed', true)],
    inputs: [[3, 4], [3, 2], [4, 2], ints([0])],
    anyRank: [3],
  },
  {
    op: 'GraftLowRankDown',
    attrs: [
      attr.int('count', 1),
      attr.ints('offsets', [0]),
      attr.floats('scales', [1]),
      attr.int('lanes', 2),
    ],
    inputs: [
      [3, 4],
      [4, 2],
    ],
  },
  {
    op: 'GraftUpdatedNorms',
    attrs: [attr.float('scale', 1), attr.bool('transposed', false)],
    inputs: [
      [4, 6],
      [2, 6],
      [4, 2],
    ],
  },
  { op: 'GraftRmsNorm', attrs: [attr.float('epsilon', 1e-6)], inputs: [[3, 4], [4]], anyRank: [1] },
  { op: 'GraftRmsNormGradient', inputs: [[3, 4], [3, 4], [4], [3]], anyRank: [2, 3] },
  { op: 'GraftLayerNorm', attrs: [attr.float('epsilon', 1e-6)], inputs: [[3, 4], [4], [4]], anyRank: [1, 2] },
  { op: 'GraftLayerNormGradient', inputs: [[3, 4], [3, 4], [4], [3], [3]], anyRank: [2, 3, 4] },
  {
    op: 'GraftResidualAdd',
    inputs: [
      [3, 4],
      [3, 4],
    ],
  },
  {
    op: 'GraftRowProduct',
    attrs: [attr.bool('transposed', true)],
    inputs: [
      [3, 4],
      [5, 4],
    ],
  },
];

const run = ({ op, attrs = [], inputs }: Case) =>
  tf.tidy(() => {
    const tensors = inputs.map((input) =>
      Array.isArray(input) ? tf.ones(input) : tf.tensor(input.values, input.shape, 'int32'),
    );
    const typed = attrs.some(({ name }) => name === 'T') || !needsType.has(op);
    const all = typed ? attrs : [...attrs, attr.type('T', 'float32')];
    return rawOp(op, all, tensors).map((tensor) => tensor.dataSync());
  });
/** Ops with type T only in their outputs. */
const needsType = new Set(['GraftRmsNorm', 'GraftLayerNorm']);

const skip = kernelSets().length === 1 && 'this machine has no kernels';
for (const one of cases) {
  const { op, inputs, anyRank = [] } = one;
  test(`${op} refuses inputs that are no matrices, and survives others that do not fit`, { skip }, () => {
    kernelSet();
    assert.ok(run(one).length > 0, 'the shapes of the case are right');
    inputs.forEach((input, i) => {
      const shape = Array.isArray(input) ? input : input.shape;
      const size = sizeOf(shape);
      const given = (other: number[]) => {
        const changed = Array.isArray(input)
          ? other
          : { shape: other, values: Array<number>(sizeOf(other)).fill(0) };
        return () => run({ ...one, inputs: inputs.map((each, k) => (k === i ? changed : each)) });
      };
      if (shape.length === 2 && !anyRank.includes(i))
        for (const other of [[size], [1, size, 1], []])
          assert.throws(given(other), `input ${i} of shape [${other}]`);
      for (const other of [[0], [0, 0], [0, 5], [5, 0], [7, 9], [1, 1], shape.map((n) => n + 1)]) {
        try {
          given(other)();
        } catch (error) {
          assert.ok(error instanceof Error);
        }
      }
    });
  });
}

test('attention of no heads, of heads of no numbers, with a negative window is refused', { skip }, () => {
  kernelSet();
  for (const attrs of [
    attention(0),
    attention(4, 0),
    attention(4, 3),
    attention(4, 2, 0),
    attention(4, 2, 8, -1),
  ])
    assert.throws(
      () => run({ op: 'GraftAttention', attrs, inputs: [...attended, seed, [0]] }),
      /attention of -?\d+ heads of -?\d+ numbers over -?\d+ key heads, with a window of -?\d+/,
    );
});

test('where memory for an op’s work is missing, the step fails and the process lives', {
  skip,
}, async (t) => {
  if (process.platform !== 'linux' || spawnSync('prlimit', ['--version']).status !== 0)
    return t.skip('needs prlimit');
  // Gradients of the keys and values of thirty prefixes of 40,000 positions and 64 heads: 10 GB.
  const program = `
    import { execFileSync } from 'node:child_process';
    import { readFileSync } from 'node:fs';
    import { kernelSet, rawOp, attr, tf } from ${JSON.stringify(new URL('../index.ts', import.meta.url))};
    kernelSet();
    const [heads, size, rows, prefixes] = [64, 1, 40_100, 30];
    const attributes = [
      ...[attr.int('count', 3), attr.int('heads', heads), attr.int('kv_heads', heads), attr.int('head_size', size)],
      ...[attr.float('scale', 1), attr.bool('causal', true), attr.int('window', 0), attr.bool('cross', false)],
      ...[attr.float('dropout', 0), attr.type('T', 'float32')],
    ];
    const part = () => tf.ones([rows, heads * size]);
    const none = tf.zeros([0, 0]);
    const spans = Array.from({ length: prefixes }, (_, i) => [40_000 + i, 40_001 + i, i, 40_000]).flat();
    const segments = tf.tensor(spans, [prefixes, 4], 'int32');
    const inputs = [part(), part(), part(), none, none, segments, none, tf.tensor([1, 2], [2], 'int32')];
    const rest = [part(), tf.ones([rows, heads]), part()];
    const used = 1024 * Number(/VmSize:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
    execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + (used + 2e9)]);
    try {
      rawOp('GraftAttentionGradient', attributes, [...inputs, ...rest]);
      console.log('computed');
    } catch (error) {
      console.log('failed: ' + error.message);
    }
    console.log('lives');`;
  const args = [...process.execArgv, '--input-type=module', '-e', program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  assert.match(stdout, /^failed: .*OOM when allocating tensor.*\nlives\n$/s);
});
