import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResolvedTraining } from '../config/index.ts';
import { BestModel } from './best-model.ts';

type Options = Partial<ResolvedTraining>;

/** The evaluation (from 1) at which patience runs out (null: never), the number and value of the best, and the last count without gain. */
function follow(values: number[], options: Options) {
  const run = new BestModel(options);
  let stopped: number | null = null;
  for (const [i, value] of values.entries()) {
    const isAccuracy = options.metric_for_best_model === 'eval_accuracy';
    run.take({ step: i + 1, loss: isAccuracy ? 9 : value, tokenAccuracy: isAccuracy ? value : null });
    if (run.isPatienceLost) {
      stopped = i + 1;
      break;
    }
  }
  return [stopped, run.best?.step ?? null, run.best?.value ?? null, run.evaluationsWithoutGain];
}

const patience = (early_stopping_patience: number, more: Options = {}): Options => ({
  early_stopping_patience,
  ...more,
});

// Results of EarlyStoppingCallback and Trainer._determine_best_metric of transformers 5 for the same numbers, worked out by hand.
const cases: [what: string, values: number[], options: Options, expected: unknown[]][] = [
  ['falls to the end', [3, 2, 1], patience(1), [null, 3, 1, 0]],
  ['rises at once', [1, 2, 3], patience(1), [2, 1, 1, 1]],
  ['the same is no gain', [1, 1, 1], patience(2), [3, 1, 1, 2]],
  ['an improvement resets the count', [3, 4, 2, 4, 4], patience(2), [5, 3, 2, 2]],
  [
    'a gain within the threshold is the best, and loses patience',
    [1, 0.9, 0.8, 0.7],
    patience(2, { early_stopping_threshold: 0.125 }),
    [3, 3, 0.8, 2],
  ],
  [
    'just the threshold is no gain',
    [1, 0.5, 0.25],
    patience(2, { early_stopping_threshold: 0.5 }),
    [3, 3, 0.25, 2],
  ],
  [
    'the threshold is compared with the best, not with the last improvement',
    [1, 0.75, 0.5],
    patience(2, { early_stopping_threshold: 0.3 }),
    [3, 3, 0.5, 2],
  ],
  ['no number is no gain', [1, Number.NaN, Number.NaN], patience(2), [3, 1, 1, 2]],
  ['from no number on, any is a gain', [Number.NaN, 5, 6], patience(2), [null, 2, 5, 1]],
  ['never a number', [Number.NaN, Number.NaN, Number.NaN], patience(2), [3, null, null, 2]],
  ['without patience', [1, 2, 3, 4], {}, [null, 1, 1, 3]],
  [
    'of an accuracy more is better',
    [0.5, 0.75, 0.75, 0.5],
    patience(2, { metric_for_best_model: 'eval_accuracy' }),
    [4, 2, 0.75, 2],
  ],
  [
    'unless the request says otherwise',
    [0.5, 0.75, 0.75],
    patience(2, { metric_for_best_model: 'eval_accuracy', greater_is_better: false }),
    [3, 1, 0.5, 2],
  ],
];
for (const [what, values, options, expected] of cases)
  test(what, () => assert.deepEqual(follow(values, options), expected));

test('is a function of what was measured, wherever a run is cut', () => {
  let seed = 7;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  for (let round = 0; round < 200; round++) {
    const options = patience(1 + (round % 4), { early_stopping_threshold: (round % 3) / 20 });
    const values = Array.from({ length: 12 }, random);
    const whole = new BestModel(options);
    for (const [i, loss] of values.entries()) {
      whole.take({ step: i, loss, tokenAccuracy: null });
      const resumed = new BestModel(options);
      for (const [step, before] of values.slice(0, i + 1).entries())
        resumed.take({ step, loss: before, tokenAccuracy: null });
      assert.deepEqual(
        [resumed.best, resumed.isPatienceLost, resumed.evaluationsWithoutGain],
        [whole.best, whole.isPatienceLost, whole.evaluationsWithoutGain],
      );
      const least = Math.min(...values.slice(0, i + 1));
      assert.deepEqual(whole.best, { step: values.indexOf(least), value: least });
    }
  }
});
