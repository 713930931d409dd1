import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { defaultPeft, defaultPeftWithin } from '../tuners/methods.ts';
import { parsePeftConfig } from './peft-config.ts';
import { resolveTraining } from './resolve-training.ts';
import { rungsOf, sweepSteps } from './rungs.ts';
import { nameTrial, parseSweep, type SweepTrial, trialName, trialsOf } from './sweep.ts';

const beside = { peft: undefined, training: {}, hyperparameters: {}, startPeft: null };
const trials = (sweep: unknown, more: Partial<Parameters<typeof trialsOf>[1]> = {}): SweepTrial[] =>
  trialsOf(parseSweep(sweep)!, { ...beside, ...more });
const refusal = (ask: () => unknown): string => {
  try {
    ask();
  } catch (error) {
    const { code, param, message } = error as GraftError;
    return `${code} ${param}: ${message}`;
  }
  throw new Error('it was not refused');
};

describe('rungsOf', () => {
  test('up to four trials train to the end, others are compared where a quarter and half of the steps are done', () => {
    const end = { step: 90, survivors: 1 };
    for (const trials of [2, 4]) assert.deepEqual(rungsOf(trials, 90, 10), [end]);
    assert.deepEqual(rungsOf(5, 90, 15), [{ step: 45, survivors: 2 }, end]);
    assert.deepEqual(rungsOf(17, 90, 15), [{ step: 45, survivors: 6 }, end]);
    assert.deepEqual(rungsOf(32, 360, 90), [
      { step: 90, survivors: 11 },
      { step: 180, survivors: 4 },
      { step: 360, survivors: 1 },
    ]);
    assert.equal(sweepSteps(9, rungsOf(9, 90, 15)), 9 * 45 + 3 * 45);
  });

  test('of sweeps of versions before are the same as ever: a third at each, from a ninth of the steps on', () => {
    const cutsTies = true;
    assert.deepEqual(rungsOf(9, 90, 10, 'early'), [
      { step: 10, survivors: 3, cutsTies },
      { step: 30, survivors: 1, cutsTies },
      { step: 90, survivors: 1, cutsTies },
    ]);
    assert.deepEqual(
      rungsOf(32, 540, 20, 'early').map(({ survivors }) => survivors),
      [10, 3, 1, 1],
    );
    assert.deepEqual(rungsOf(2, 30, 10, 'early'), [
      { step: 10, survivors: 1, cutsTies },
      { step: 30, survivors: 1, cutsTies },
    ]);
  });

  test('compares at evaluations only, and several times at one where there are too few', () => {
    assert.deepEqual(rungsOf(32, 90, 40), [
      { step: 40, survivors: 4 },
      { step: 90, survivors: 1 },
    ]);
    for (const comparison of ['early', 'late'] as const)
      for (const n of [2, 3, 5, 8, 27, 32])
        for (const steps of [1, 2, 3, 7, 100])
          for (const evalSteps of [1, 2, 40, 200]) {
            const rungs = rungsOf(n, steps, evalSteps, comparison);
            const ends = rungs.map(({ step }) => step);
            assert.deepEqual(
              ends,
              [...new Set(ends)].sort((a, b) => a - b),
            );
            assert.deepEqual([rungs.at(-1)?.step, rungs.at(-1)?.survivors], [steps, 1]);
            assert.ok(ends.slice(0, -1).every((step) => step % evalSteps === 0 && step < steps));
            assert.ok(sweepSteps(n, rungs) <= n * steps);
          }
  });

  test('an evaluation that nobody set is where the rungs are', () => {
    const training = { validation_split: 0.1, n_epochs: 3, batch_size: 1 };
    const peft = parsePeftConfig({ peft_type: 'LORA' });
    const every = (trials: number) =>
      resolveTraining({ peft, training, exampleCount: 100, trials }).eval_steps;
    assert.deepEqual([every(4), every(9), every(32)], [90, 67, 67]);
    assert.deepEqual(
      rungsOf(32, 270, 67).map(({ step }) => step),
      [67, 134, 270],
    );
    assert.equal(resolveTraining({ peft, training, exampleCount: 100 }).eval_steps, 90);
  });
});

describe('trialsOf', () => {
  test('makes every combination, those of one configuration next to each other', () => {
    const all = trials(
      { learning_rate: [1e-3, 1e-4], r: [4, 8] },
      { peft: { peft_type: 'LORA', lora_alpha: 5 } },
    );
    assert.deepEqual(all.map(trialName), [
      'LORA, r 4, learning rate 0.001',
      'LORA, r 4, learning rate 0.0001',
      'LORA, r 8, learning rate 0.001',
      'LORA, r 8, learning rate 0.0001',
    ]);
    assert.ok(all.every(({ peft }) => 'lora_alpha' in peft && peft.lora_alpha === 5));
  });

  test('a method has the options that the request gives it, another one its usual ones, for the same task', () => {
    const peft = { peft_type: 'LORA', r: 3, task_type: 'SEQ_CLS' };
    const [lora, prompt] = trials({ peft_type: ['LORA', 'PROMPT_TUNING'] }, { peft });
    assert.deepEqual(lora?.peft, parsePeftConfig(peft));
    const usual = { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 20, task_type: 'SEQ_CLS' };
    assert.deepEqual(prompt?.peft, parsePeftConfig(usual));
    assert.equal(trialName(prompt!), 'PROMPT_TUNING');
  });

  test('without a method it is the one that a job gets, within the rank that is permitted', () => {
    const rates = { learning_rate: [1e-3, 1e-4] };
    const ranksOf = (all: SweepTrial[]) => all.map(({ peft }) => 'r' in peft && peft.r);
    assert.deepEqual(ranksOf(trials(rates)), [16, 16]);
    assert.deepEqual(ranksOf(trials(rates, { maxRank: 4 })), [4, 4]);
    assert.deepEqual(ranksOf(trials({ r: [2, 8] }, { maxRank: 4 })), [2, 8]);
    assert.deepEqual([defaultPeftWithin(null), defaultPeftWithin(64)], [defaultPeft, defaultPeft]);
  });
});

describe('what is refused', () => {
  const rates = (count: number) => Array.from({ length: count }, (_, i) => (i + 1) / 1000);
  const table: [string, RegExp, unknown, Parameters<typeof trials>[1]?][] = [
    ['no object', /^invalid_sweep sweep: .*must be an object of lists, got \[1\]/, [1]],
    [
      'an unknown field',
      /^unknown_sweep_option sweep\.rank: .*a sweep tries learning_rate, r, peft_type/,
      { rank: [1, 2] },
    ],
    [
      'a misspelt field',
      /sweep\.learning_rates: is not known; did you mean learning_rate\?/,
      { learning_rates: [1] },
    ],
    ['no list', /^invalid_sweep sweep\.r: .*must be a list of 1 to 32 entries.*got 8/, { r: 8 }],
    ['an empty list', /^invalid_sweep sweep\.r: /, { r: [] }],
    ['a rate of 0', /^invalid_sweep sweep\.learning_rate: .*above 0/, { learning_rate: [0, 1] }],
    ['an unknown method', /^invalid_sweep sweep\.peft_type: /, { peft_type: ['LORA', 'RANDLORA'] }],
    ['a value twice', /^invalid_sweep sweep\.r: .*has 8 twice/, { r: [8, 16, 8] }],
    ['one trial', /^invalid_sweep sweep: .*makes one trial/, { r: [8] }],
    ['none', /^invalid_sweep sweep: .*makes one trial/, {}],
    [
      'too many',
      /^invalid_sweep sweep: .*makes 33 trials \(11 of learning_rate × 3 of r\), and 32 is the limit/,
      { learning_rate: rates(11), r: [1, 2, 3] },
    ],
    [
      'ranks of a method without',
      /^invalid_sweep sweep\.r: .*IA3 has no rank/,
      { r: [8, 16] },
      { peft: { peft_type: 'IA3' } },
    ],
    [
      'ranks of methods of which one has none',
      /sweep\.r: IA3 has no rank/,
      { r: [8], peft_type: ['LORA', 'IA3'] },
    ],
    [
      'a method that needs options',
      /^invalid_sweep sweep\.peft_type: .*SELECTIVE has no options that fit every model/,
      { peft_type: ['LORA', 'SELECTIVE'] },
    ],
    [
      'another method in peft',
      /sweep\.peft_type: lacks "IA3"/,
      { peft_type: ['LORA', 'LN_TUNING'] },
      { peft: { peft_type: 'IA3' } },
    ],
    ['another rank in peft', /sweep\.r: lacks 4/, { r: [8, 16] }, { peft: { peft_type: 'LORA', r: 4 } }],
    [
      'another rate',
      /sweep\.learning_rate: and training\.learning_rate, which is 0\.5/,
      { learning_rate: [1e-3, 1e-4] },
      { training: { learning_rate: 0.5 } },
    ],
    [
      'a multiplier',
      /sweep\.learning_rate: and hyperparameters\.learning_rate_multiplier/,
      { learning_rate: [1e-3, 1e-4] },
      { hyperparameters: { learning_rate_multiplier: 1 } },
    ],
    [
      'ranks for an adapter that training continues from',
      /sweep\.r: training continues an adapter with its own configuration/,
      { r: [8, 16] },
      { startPeft: parsePeftConfig({ peft_type: 'LORA' }) },
    ],
    [
      'options that no method has',
      /^unknown_peft_option peft\.rank/,
      { r: [8, 16] },
      { peft: { peft_type: 'LORA', rank: 1 } },
    ],
  ];
  for (const [what, words, sweep, more] of table)
    test(what, () =>
      assert.match(
        refusal(() => trials(sweep, more)),
        words,
      ),
    );

  test('a sweep without validation data, with patience, or measured at its end alone', () => {
    const peft = parsePeftConfig({ peft_type: 'LORA' });
    const ask = (training: object) => () => resolveTraining({ peft, training, exampleCount: 50, trials: 5 });
    assert.match(refusal(ask({})), /^invalid_sweep sweep: .*needs validation data/);
    const split = { validation_split: 0.1 };
    const patience = ask({ ...split, early_stopping_patience: 2, eval_steps: 2 });
    assert.match(refusal(patience), /training\.early_stopping_patience: and sweep/);
    assert.match(refusal(ask({ ...split, eval_steps: 999 })), /training\.eval_steps: is 999.*with a sweep/);
  });
});

test('a sweep of beta needs another metric than the loss, and a method that has a beta', () => {
  const training = { metric_for_best_model: 'eval_rewards_accuracy' };
  const betas = trials({ beta: [0.1, 0.3] }, { training });
  assert.deepEqual(
    betas.map((trial) => trial.training.preference),
    [{ beta: 0.1 }, { beta: 0.3 }],
  );
  assert.match(betas.map(trialName).join('; '), /beta 0\.1; .*beta 0\.3$/);
  const refused = (more: Partial<Parameters<typeof trialsOf>[1]>) =>
    refusal(() => trials({ beta: [0.1, 0.3] }, more));
  assert.match(refused({}), /^invalid_sweep sweep\.beta: .*set training\.metric_for_best_model/);
  assert.match(
    refused({ training: { ...training, metric_for_best_model: 'eval_a_loss' } }),
    /do not compare/,
  );
  assert.match(refused({ training: { ...training, preference: { beta: 1 } } }), /exclude each other/);
  assert.match(refused({ training, hyperparameters: { beta: 1 } }), /hyperparameters\.beta exclude/);
  const supervised = refusal(() => {
    try {
      resolveTraining({ ...betas[0]!, exampleCount: 9, hasValidationFile: true, trials: 2 });
    } catch (error) {
      throw nameTrial(error, { beta: [0.1, 0.3] }, 'trial 1');
    }
  });
  assert.match(supervised, /^invalid_training_option sweep\.beta: .*the job's method is supervised/);
});
