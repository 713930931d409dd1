import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { ResolvedTraining } from '../../config/index.ts';
import { learningRateAt } from '../run-step.ts';

const training = (lr_scheduler_type: ResolvedTraining['lr_scheduler_type']) =>
  ({ learning_rate: 1, warmup_steps: 4, lr_scheduler_type }) as ResolvedTraining;

interface Case extends Pick<ResolvedTraining, 'lr_scheduler_type' | 'lr_scheduler_kwargs'> {
  rates: number[];
}
const golden = JSON.parse(readFileSync(new URL('./testdata/schedules.json', import.meta.url), 'utf8'));

for (const { rates, ...schedule } of golden.cases as Case[])
  test(`${schedule.lr_scheduler_type} ${JSON.stringify(schedule.lr_scheduler_kwargs)} is transformers'`, () => {
    const training = { ...golden, ...schedule } as ResolvedTraining;
    for (const [step, rate] of rates.entries()) {
      const own = learningRateAt(training, step, rates.length);
      assert.ok(Math.abs(own - rate) < 1e-15, `step ${step}: ${own}, expected ${rate}`);
    }
    assert.ok(rates.length > 20);
  });

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

test('a rate ends at its configured minimum, and a stable one falls in its last steps', () => {
  const of = (options: Partial<ResolvedTraining>) => (step: number) =>
    learningRateAt({ learning_rate: 2, warmup_steps: 4, ...options } as ResolvedTraining, step, 20);
  const floor = of({ lr_scheduler_type: 'cosine_with_min_lr', lr_scheduler_kwargs: { min_lr_rate: 0.1 } });
  assert.deepEqual([0, 4, 20].map(floor), [0, 2, 0.2]);
  assert.ok(Math.abs(floor(12) - 1.1) < 1e-12);
  const stable = of({
    lr_scheduler_type: 'warmup_stable_decay',
    lr_scheduler_kwargs: { num_decay_steps: 4 },
  });
  assert.deepEqual([0, 2, 4, 10, 16, 18].map(stable), [0, 1, 2, 2, 2, 1]);
  // The same job with fewer examples than were counted when it was requested.
  const short = { learning_rate: 2, warmup_steps: 1, lr_scheduler_type: 'warmup_stable_decay' } as const;
  const decay = { lr_scheduler_kwargs: { num_decay_steps: 9, num_stable_steps: 5 } };
  const rates = [0, 1, 2].map((step) => learningRateAt({ ...short, ...decay } as ResolvedTraining, step, 3));
  assert.deepEqual(
    rates.map((rate) => Number(rate.toFixed(6))),
    [0, 2, 1],
  );
});
