import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResolvedTraining } from '../config/index.ts';
import { learningRateAt } from './optimizer.ts';

const training = (lr_scheduler_type: ResolvedTraining['lr_scheduler_type']) =>
  ({ learning_rate: 1, warmup_steps: 4, lr_scheduler_type }) as ResolvedTraining;

test('warms up linearly from 0', () => {
  for (const kind of ['constant', 'linear', 'cosine'] as const) {
    assert.deepEqual(
      [0, 1, 2, 3, 4].map((s) => learningRateAt(training(kind), s, 20)),
      [0, 0.25, 0.5, 0.75, 1],
    );
  }
});

test('falls as its name says', () => {
  assert.equal(learningRateAt(training('constant'), 19, 20), 1);
  assert.equal(learningRateAt(training('linear'), 12, 20), 0.5);
  assert.ok(Math.abs(learningRateAt(training('cosine'), 12, 20) - 0.5) < 1e-12);
  assert.equal(learningRateAt(training('linear'), 20, 20), 0);
  assert.ok(learningRateAt(training('cosine'), 20, 20) < 1e-12);
});

test('warmup leaves the last step at the full rate, however few steps there are', () => {
  for (const kind of ['constant', 'linear', 'cosine'] as const) {
    assert.equal(learningRateAt(training(kind), 0, 1), 1);
    assert.deepEqual(
      [0, 1, 2].map((s) => learningRateAt(training(kind), s, 3)),
      [0, 0.5, 1],
    );
  }
});
