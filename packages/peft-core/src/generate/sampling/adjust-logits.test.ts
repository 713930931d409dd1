import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../random.ts';
import { adjusted, LogitChanges } from './adjust-logits.ts';
import { probabilities, sampleToken } from './sampling.ts';

/** OpenAI's formula: μ[j] − c[j] · α_frequency − (c[j] > 0) · α_presence + bias[j], in double precision. */
function reference(
  logits: Float32Array,
  answer: readonly number[],
  { bias, frequency, presence }: { bias: Record<number, number>; frequency: number; presence: number },
): number[] {
  return [...logits].map((logit, token) => {
    const count = answer.filter((id) => id === token).length;
    return logit - count * frequency - (count > 0 ? presence : 0) + (bias[token] ?? 0);
  });
}

test("the logits of OpenAI's formula, for every token of an answer", () => {
  const random = new Random(1, 'test', 0);
  for (const [frequency, presence] of [
    [0, 0],
    [0.5, 0],
    [0, 1.5],
    [2, -2],
    [-0.25, 0.75],
  ] as const) {
    const bias = { 3: 5, 7: -100, 11: 0.125 };
    const changes = new LogitChanges({
      bias: new Map(Object.entries(bias).map(([id, value]) => [Number(id), value])),
      frequencyPenalty: frequency,
      presencePenalty: presence,
    });
    const answer: number[] = [];
    for (let step = 0; step < 40; step++) {
      const logits = Float32Array.from({ length: 20 }, () => 2 * random.normal());
      const found = adjusted(logits, changes.added(20, null));
      const expected = reference(logits, answer, { bias, frequency, presence });
      for (const [token, logit] of expected.entries()) assert.ok(Math.abs(found[token]! - logit) < 1e-4);
      const token = sampleToken(found, { temperature: 1, topP: 1 }, random.uniform());
      assert.notEqual(token, 7);
      answer.push(token);
      changes.count(token);
    }
  }
});

test('nothing to add is null, so that logits are not copied', () => {
  const changes = new LogitChanges({ bias: new Map(), frequencyPenalty: 0, presencePenalty: 0 });
  changes.count(3);
  assert.equal(changes.added(10, null), null);
  const logits = Float32Array.of(1, 2);
  assert.equal(adjusted(logits, null), logits);
});

test('tokens outside a mask have the probability 0, with every sampling option', () => {
  const logits = Float32Array.from({ length: 70 }, (_, i) => i);
  const changes = new LogitChanges({ bias: new Map([[69, 100]]), frequencyPenalty: 1, presencePenalty: 0 });
  changes.count(40);
  const mask = Int32Array.of(0b1010, 1 << 8, 0);
  const scores = adjusted(logits, changes.added(70, mask));
  for (const options of [{ topP: 1 }, { topP: 0.9 }, { topP: 1, topK: 10 }, { topP: 1, minP: 1e-9 }]) {
    const all = probabilities(scores, { temperature: 2, ...options });
    const kept = [...all.keys()].filter((token) => all[token]! > 0);
    assert.ok(kept.length > 0 && kept.every((token) => [1, 3, 40].includes(token)), `${kept}`);
    for (const uniform of [0, 0.5, 0.999999])
      assert.ok(all[sampleToken(scores, { temperature: 2, ...options }, uniform)]! > 0);
  }
  assert.equal(sampleToken(scores, { temperature: 0, topP: 1 }, 0), 40);
  const barred = adjusted(logits, changes.added(70, null, [69, 68]));
  assert.equal(sampleToken(barred, { temperature: 0, topP: 1 }, 0), 67);
});
