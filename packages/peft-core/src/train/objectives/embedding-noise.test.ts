import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { withNoise } from '../../nn/embedding.ts';
import { noiseFeeds } from './embedding-noise.ts';

interface Case {
  alpha: number;
  tokens: number;
  width: number;
  /** Maximum and standard deviation of transformers' noise. */
  most: number;
  deviation: number;
}
const golden = JSON.parse(readFileSync(new URL('./testdata/neftune.json', import.meta.url), 'utf8'));
const none = { ids: new Int32Array(), positions: new Int32Array(), segments: new Int32Array() };

for (const { alpha, tokens, width, most, deviation } of golden.cases as Case[])
  test(`alpha ${alpha}, ${tokens} tokens of ${width} numbers: the noise is spread as that of transformers`, () => {
    const sequences = 400;
    const segments = Int32Array.from({ length: sequences * tokens }, (_, at) => 1 + Math.floor(at / tokens));
    const ids = new Int32Array(segments.length);
    const options = { alpha, width, vocabularySize: 10 };
    const grid = { rows: 1, length: ids.length };
    const feeds = noiseFeeds({ ids, segments, input: none }, grid, options);
    const seed = tf.tensor1d([3, 4], 'int32');
    const x = tf.zeros([ids.length, width]);
    const noise = withNoise(x, tf.tensor1d(feeds.noise_scales), seed).dataSync() as Float32Array;
    const measured = {
      most: noise.reduce((far, value) => Math.max(far, Math.abs(value)), 0),
      mean: noise.reduce((sum, value) => sum + value, 0) / noise.length,
      deviation: Math.sqrt(noise.reduce((sum, value) => sum + value * value, 0) / noise.length),
    };
    assert.ok(Math.abs(measured.most / most - 1) < 1e-2, `${measured.most}, expected ${most}`);
    assert.ok(
      Math.abs(measured.deviation / deviation - 1) < 2e-2,
      `${measured.deviation}, expected ${deviation}`,
    );
    assert.ok(Math.abs(measured.mean) < deviation / 30, `a mean of ${measured.mean}`);
  });

test('each sequence has noise by its own length; virtual tokens and padding have none', () => {
  const segments = Int32Array.of(1, 1, 1, 2, 2, 0, 1, 1, 0, 0, 0, 0);
  const ids = Int32Array.of(10, 5, 6, 7, 8, 0, 4, 4, 0, 0, 0, 0);
  const input = {
    ids: Int32Array.of(1, 2, 3, 1),
    positions: new Int32Array(4),
    segments: Int32Array.of(1, 1, 1, 0),
  };
  const options = { alpha: 2, width: 2, vocabularySize: 10 };
  const feeds = noiseFeeds(
    { ids, segments, input: { ...input, ids: new Int32Array() } },
    { rows: 2, length: 12 },
    options,
  );
  // A sequence of two tokens: 2 / √(2 · 2).
  assert.deepEqual([...feeds.noise_scales], [0, 1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0]);
  const both = noiseFeeds({ ids, segments, input }, { rows: 1, length: 3 }, options);
  assert.ok('input_noise_scales' in both);
  assert.deepEqual([...both.input_noise_scales], [...new Float32Array(3).fill(2 / Math.sqrt(6)), 0]);
  assert.deepEqual([...both.noise_scales], [0, 1, 1]);
});

test('the gradient passes noise as it is, and seeds draw each their own', () => {
  const [x, scales] = [tf.ones([3, 2]), tf.tensor1d([1, 0, 2])];
  const seed = (part: number) => tf.tensor1d([1, part], 'int32');
  const drawn = [withNoise(x, scales, seed(1)), withNoise(x, scales, seed(1)), withNoise(x, scales, seed(2))];
  const [first, again, other] = drawn.map((each) => [...each.dataSync()]);
  assert.deepEqual(first, again);
  assert.notDeepEqual(first, other);
  assert.deepEqual(first!.slice(2, 4), [1, 1]);
  const slopes = tf.grad((x) => tf.sum(withNoise(x, scales, seed(1))))(x);
  assert.deepEqual([...slopes.dataSync()], [1, 1, 1, 1, 1, 1]);
});
