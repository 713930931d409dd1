import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { GraftError } from '../../errors.ts';
import { penalised, probabilities, sampleToken } from './sampling.ts';

const logits = Float32Array.from([1, 3, 2, -50], Math.fround);

test('temperature 0 takes the most probable token whatever the draw', () => {
  for (const u of [0, 0.5, 0.999]) assert.equal(sampleToken(logits, { temperature: 0, topP: 1 }, u), 1);
});

test('frequencies follow the softmax', () => {
  const counts = [0, 0, 0, 0];
  const draws = 3000;
  for (let i = 0; i < draws; i++)
    counts[sampleToken(logits, { temperature: 1, topP: 1 }, (i + 0.5) / draws)]!++;
  const z = Math.exp(1) + Math.exp(3) + Math.exp(2);
  for (const [i, l] of [1, 3, 2].entries())
    assert.ok(Math.abs(counts[i]! / draws - Math.exp(l) / z) < 1e-3, `token ${i}`);
  assert.equal(counts[3], 0);
});

test('top-p keeps the most probable tokens up to the mass, and always one', () => {
  const seen = (topP: number) =>
    new Set(Array.from({ length: 100 }, (_, i) => sampleToken(logits, { temperature: 1, topP }, i / 100)));
  assert.deepEqual([...seen(0.01)], [1]);
  assert.deepEqual([...seen(0.7)].sort(), [1, 2]); // token 1 alone has 0.665
});

interface GoldenCase {
  logits: number[];
  ids: number[];
  options: {
    temperature?: number;
    top_k?: number;
    top_p?: number;
    min_p?: number;
    repetition_penalty?: number;
  };
  probabilities: number[];
}
const golden = JSON.parse(readFileSync(new URL('./testdata/sampling.json', import.meta.url), 'utf8')) as {
  cases: GoldenCase[];
};

for (const [i, { logits, ids, options, probabilities: expected }] of golden.cases.entries())
  test(`transformers' probabilities: ${i}, ${JSON.stringify(options)}`, () => {
    const { temperature = 1, top_p: topP = 1, top_k: topK = 0, min_p: minP = 0 } = options;
    const given = penalised(Float32Array.from(logits), ids, options.repetition_penalty ?? 1);
    const found = probabilities(given, { temperature, topP, topK, minP });
    // Which of equally probable tokens crosses the mass of top_p is arbitrary in transformers; here it is the first.
    const isTied = topP < 1 && new Set(logits).size < logits.length;
    const [ours, theirs] = isTied
      ? [found.toSorted(), expected.toSorted((a, b) => a - b)]
      : [found, expected];
    for (const [token, p] of theirs.entries()) {
      assert.equal(ours[token]! > 0, p > 0, `token ${token}: ${ours[token]} and ${p}`);
      assert.ok(Math.abs(ours[token]! - p) < 1e-6, `token ${token}: ${ours[token]} and ${p}`);
    }
    // The draws follow these probabilities.
    const draws = 2000;
    const counts = new Array<number>(logits.length).fill(0);
    for (let draw = 0; draw < draws; draw++)
      counts[sampleToken(given, { temperature, topP, topK, minP }, (draw + 0.5) / draws)]!++;
    for (const [token, p] of found.entries()) assert.ok(Math.abs(counts[token]! / draws - p) < 1e-3);
  });

test('a penalty passes over ids that are no tokens, and leaves the given logits', () => {
  const given = Float32Array.from([2, -2, 1]);
  assert.deepEqual([...penalised(given, [-1, 0, 1, 1, 7], 2)], [1, -4, 1]);
  assert.deepEqual([...given], [2, -2, 1]);
  assert.equal(penalised(given, [0], 1), given);
});

test('logits that are not finite are refused, however the token is chosen', () => {
  for (const bad of [NaN, Infinity, -Infinity])
    for (const [temperature, topP] of [
      [0, 1],
      [1, 1],
      [1, 0.9],
    ] as const)
      for (const i of [0, 1, 3])
        assert.throws(
          () => sampleToken(logits.with(i, bad), { temperature, topP }, 0.5),
          ({ code }: GraftError) => code === 'non_finite_logits',
        );
});
