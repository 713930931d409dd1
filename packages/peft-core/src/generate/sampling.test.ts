import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { sampleToken } from './sampling.ts';

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
