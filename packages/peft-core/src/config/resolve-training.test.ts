import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Value } from 'typebox/value';
import type { GraftError } from '../errors.ts';
import { dpo } from '../objectives/dpo/objective.ts';
import { parsePeftConfig } from './peft-config.ts';
import {
  optimizerSteps,
  resolveTraining,
  type TrainingRequest,
  validationCount,
} from './resolve-training.ts';
import { peft, rejects, resolve } from './testing/resolve.ts';
import {
  HyperparametersSchema,
  parseTrainingOptions,
  ResolvedTrainingSchema,
  type TrainingOptions,
} from './training-options.ts';

test('"auto" takes the method\'s learning rate, by the width of the model where its family is known', () => {
  const rate = (options: object, hiddenSize?: number) => {
    const peft = parsePeftConfig(options);
    const asked = {
      peft,
      exampleCount: 2400,
      ...(hiddenSize && { model: { hiddenSize, rateExponent: 0.781 } }),
    };
    const { learning_rate } = resolveTraining(asked);
    const again = resolveTraining({ ...asked, training: { learning_rate: 'auto' } });
    assert.equal(again.learning_rate, learning_rate);
    return learning_rate;
  };
  const cases: [options: object, rate: number, of576: number, of4096: number][] = [
    [{ peft_type: 'LORA', lora_alpha: 16, use_dora: true }, 2e-4, 1.3e-3, 2.9e-4],
    [{ peft_type: 'LORA', lora_alpha: 8 }, 2.8e-4, 1.9e-3, 4e-4],
    [{ peft_type: 'LORA', lora_alpha: 32 }, 1.7e-4, 1.1e-3, 1.4e-4],
    [{ peft_type: 'LORA', lora_alpha: 8, r: 64, use_rslora: true }, 1.4e-4, 9.3e-4, 7.1e-5],
    [{ peft_type: 'LORA', lora_alpha: 1 }, 4e-4, 2.6e-3, 5.7e-4],
    [{ peft_type: 'LORA', lora_alpha: 4096 }, 5e-5, 3.3e-4, 1.1e-6],
    [{ peft_type: 'BOTTLENECK' }, 2e-4, 1.3e-3, 2.9e-4],
    [{ peft_type: 'BOTTLENECK', task_type: 'SEQ_CLS' }, 6e-4, 4e-3, 8.6e-4],
    [{ peft_type: 'IA3' }, 2e-3, 1.3e-2, 2.9e-3],
    [{ peft_type: 'IA3', task_type: 'TOKEN_CLS' }, 6e-3, 4e-2, 8.6e-3],
    [{ peft_type: 'LN_TUNING' }, 1e-3, 6.6e-3, 1.4e-3],
    [{ peft_type: 'TRAINABLE_TOKENS', token_indices: [1] }, 1.5e-3, 9.9e-3, 2.1e-3],
    [{ peft_type: 'SELECTIVE', preset: 'bitfit' }, 1e-3, 6.6e-3, 1.4e-3],
    [{ peft_type: 'SELECTIVE', kinds: ['bias', 'norm'], layers: [0] }, 1e-3, 6.6e-3, 1.4e-3],
    [{ peft_type: 'SELECTIVE', preset: 'retrain_embeddings' }, 2e-4, 1.3e-3, 2.9e-4],
    [{ peft_type: 'SELECTIVE', kinds: ['norm', 'embedding'] }, 2e-4, 1.3e-3, 2.9e-4],
    [{ peft_type: 'SELECTIVE', layers: [1] }, 2e-5, 1.3e-4, 2.9e-5],
    [{ peft_type: 'SELECTIVE', kinds: ['norm'], trainable: ['down_proj'] }, 2e-5, 1.3e-4, 2.9e-5],
    [{ peft_type: 'PROMPT_TUNING', num_virtual_tokens: 4 }, 2e-2, 2e-2, 2e-2],
    [{ peft_type: 'PROMPT_TUNING', num_virtual_tokens: 4, task_type: 'SEQ_CLS' }, 6e-2, 6e-2, 6e-2],
    [{ peft_type: 'PREFIX_TUNING', num_virtual_tokens: 4 }, 2e-2, 2e-2, 2e-2],
    [{ peft_type: 'P_TUNING', num_virtual_tokens: 4 }, 5e-3, 5e-3, 5e-3],
  ];
  for (const [options, ...wanted] of cases)
    assert.deepEqual(
      [rate(options), rate(options, 576), rate(options, 4096)],
      wanted,
      JSON.stringify(options),
    );
});

test('short runs take a larger rate, up to four times, and a job whose examples are not counted yet does not', () => {
  const rate = (request: Partial<TrainingRequest>) => resolve(request).learning_rate;
  const inSteps = (of: Partial<TrainingRequest>) => (max_steps: number) =>
    rate({ ...of, training: { max_steps, n_epochs: 50 } });
  const steps = [128, 1000, 64, 32, 1];
  assert.deepEqual(steps.map(inSteps({ answerCharacters: 240 * 64 })), [2e-4, 2e-4, 4e-4, 8e-4, 8e-4]);
  // Long answers are memorised sooner, so the factor is smaller.
  for (const of of [{ answerCharacters: 240 * 64 + 1 }, { answerCharacters: null }, {}])
    assert.deepEqual(steps.map(inSteps(of)), [2e-4, 2e-4, 4e-4, 4e-4, 4e-4]);
  // A new head needs to change more, so its rate rises earlier.
  const classifier = parsePeftConfig({ peft_type: 'LORA', lora_alpha: 16, task_type: 'SEQ_CLS' });
  const headRate = (max_steps: number) => rate({ peft: classifier, training: { max_steps, n_epochs: 50 } });
  assert.deepEqual([192, 1000, 96, 48, 1].map(headRate), [2e-4, 2e-4, 4e-4, 8e-4, 8e-4]);
  // A larger alpha tolerates a smaller factor.
  const alpha64 = parsePeftConfig({ peft_type: 'LORA', r: 16, lora_alpha: 64 });
  assert.deepEqual(
    steps.map(inSteps({ peft: alpha64, answerCharacters: 0 })),
    [1.4e-4, 1.4e-4, 2e-4, 2e-4, 2e-4],
  );
  assert.deepEqual(steps.map(inSteps({ peft: alpha64 })), [1.4e-4, 1.4e-4, 1.4e-4, 1.4e-4, 1.4e-4]);
  // Methods that a larger rate would break keep their rate.
  const inFew = (options: object) =>
    rate({ peft: parsePeftConfig(options), answerCharacters: 0, training: { max_steps: 32 } });
  assert.equal(inFew({ peft_type: 'LN_TUNING' }), 1e-3);
  assert.equal(inFew({ peft_type: 'SELECTIVE', kinds: ['norm'] }), 1e-3);
  assert.equal(inFew({ peft_type: 'SELECTIVE', kinds: ['bias'] }), 1e-3);
  assert.equal(inFew({ peft_type: 'BOTTLENECK' }), 2e-4);
  assert.equal(inFew({ peft_type: 'BOTTLENECK', task_type: 'FEATURE_EXTRACTION' }), 2.4e-3);
  assert.equal(rate({ exampleCount: 0 }), 2e-4);
  assert.equal(rate({ exampleCount: 10, training: { learning_rate: 1e-3 } }), 1e-3);
  assert.equal(rate({ exampleCount: 10, hyperparameters: { learning_rate_multiplier: 2 } }), 8e-4);
});

test('"auto": cosine, 3 % warmup, effective batch 8, three epochs', () => {
  const training = resolve();
  assert.ok(Value.Check(ResolvedTrainingSchema, training));
  assert.equal(training.n_epochs, 3);
  assert.equal(training.batch_size, 8);
  assert.equal(training.learning_rate, 2.8e-4); // in 90 steps
  assert.equal(training.lr_scheduler_type, 'cosine');
  assert.equal(training.warmup_steps, 3); // 3 % of 90 steps, rounded up
  assert.equal(training.eval_steps, 30);
  assert.equal(training.checkpoint_steps, 10);
});

test('loftq starts from an nf4 base, and from no other', () => {
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 4, init_lora_weights: 'loftq' });
  const given = { peft, exampleCount: 10 };
  for (const base_dtype of [undefined, 'auto', 'fp32', 'bf16', 'int8'] as const)
    assert.throws(() => resolveTraining({ ...given, training: base_dtype ? { base_dtype } : {} }), {
      code: 'invalid_training_option',
      param: 'training.base_dtype',
      message:
        'training.base_dtype: must be "nf4" with peft.init_lora_weights "loftq"; set it, or leave that option out',
    });
  assert.equal(resolveTraining({ ...given, training: { base_dtype: 'nf4' } }).base_dtype, 'nf4');
});

test('early stopping is off, follows the loss, and needs something to measure before the end', () => {
  const plain = resolve();
  assert.deepEqual(
    [plain.early_stopping_patience, plain.early_stopping_threshold, plain.load_best_model_at_end],
    [null, 0, false],
  );
  assert.deepEqual([plain.metric_for_best_model, plain.greater_is_better], ['eval_loss', false]);
  const patient = { early_stopping_patience: 2, validation_split: 0.1 };
  assert.equal(
    resolve({ training: { ...patient, metric_for_best_model: 'eval_accuracy' } }).greater_is_better,
    true,
  );
  const fault = (training: TrainingOptions, param: string) =>
    assert.throws(() => resolve({ training }), { code: 'invalid_training_option', param });
  fault({ early_stopping_patience: 2 }, 'training.early_stopping_patience');
  fault({ load_best_model_at_end: true }, 'training.load_best_model_at_end');
  assert.equal(
    resolve({ hasValidationFile: true, training: { load_best_model_at_end: true } }).load_best_model_at_end,
    true,
  );
  fault({ ...patient, eval_steps: 81 }, 'training.eval_steps'); // 27 steps of 8 in each of 3 epochs
  assert.equal(resolve({ training: { ...patient, eval_steps: 80 } }).eval_steps, 80);
  fault({ ...patient, max_steps: 1 }, 'training.eval_steps');
  // With early stopping the best model is published unless the request refuses.
  const loads = (more: TrainingOptions) =>
    resolve({ training: { ...patient, ...more } }).load_best_model_at_end;
  assert.deepEqual([loads({ n_epochs: 1 }), loads({ load_best_model_at_end: false })], [true, false]);
});

test('large files take fewer epochs, small ones more where answers are short or none, tiny ones smaller batches', () => {
  const epochs = (of: Partial<TrainingRequest>, characters: number | null) =>
    [1, 30, 60, 61, 120, 205, 206, 240].map((exampleCount) => {
      const answerCharacters = characters && characters * exampleCount;
      return resolve({ ...of, exampleCount, answerCharacters }).n_epochs;
    });
  const encoder = parsePeftConfig({ peft_type: 'LORA', task_type: 'FEATURE_EXTRACTION' });
  assert.deepEqual(epochs({ peft: encoder }, 0), [12, 12, 12, 12, 6, 4, 3, 3]);
  const sequences = parsePeftConfig({ peft_type: 'LORA', task_type: 'SEQ_2_SEQ_LM' });
  for (const of of [{}, { peft: sequences }]) {
    assert.deepEqual(epochs(of, 64), [6, 6, 6, 6, 6, 4, 3, 3]);
    for (const long of [65, null]) assert.deepEqual(epochs(of, long), [3, 3, 3, 3, 3, 3, 3, 3]);
  }
  assert.equal(resolve({ exampleCount: 5000 }).n_epochs, 3);
  assert.equal(resolve({ exampleCount: 5001 }).n_epochs, 2);
  assert.equal(resolve({ exampleCount: 20_001 }).n_epochs, 1);
  assert.equal(resolve({ exampleCount: 3 }).batch_size, 3);
});

test('passes add up to larger steps, as in HF, and the automatic batch stays what it is', () => {
  const batch = (training: TrainingOptions, exampleCount = 240) =>
    resolve({ training, exampleCount }).batch_size;
  assert.deepEqual([batch({}), batch({ gradient_accumulation_steps: 4 })], [8, 8]);
  assert.equal(batch({ gradient_accumulation_steps: 16 }, 5), 5);
  assert.equal(resolve({ training: { gradient_accumulation_steps: 4 } }).eval_steps, 8);
});

test('max_steps goes before the epochs, which follow', () => {
  const epochs = (training: TrainingOptions, more: Partial<TrainingRequest> = {}) =>
    resolve({ training, ...more }).n_epochs;
  // 30 steps in each epoch.
  assert.deepEqual(
    [7, 90, 91, 1000].map((max_steps) => epochs({ max_steps })),
    [3, 3, 4, 34],
  );
  assert.equal(epochs({ max_steps: 91, n_epochs: 2 }), 4);
  assert.equal(epochs({ max_steps: 91 }, { hyperparameters: { n_epochs: 2 } }), 4);
  assert.equal(epochs({ max_steps: 91, gradient_accumulation_steps: 2 }), 7);
  assert.equal(epochs({ max_steps: 91 }, { exampleCount: 0 }), 3, 'of unknown data only what is usual');
  const most = resolve({ training: { max_steps: 30_000 } });
  assert.ok(Value.Check(ResolvedTrainingSchema, most));
  assert.equal(most.n_epochs, 1000);
  assert.equal(optimizerSteps(240, most).steps, 30_000);
  rejects(
    { training: { max_steps: 30_001 } },
    'invalid_training_option',
    /max_steps: is 30001, for which 240 examples would be seen 1001 times; the limit is 1000/,
  );
  // A job of an earlier version ends after its epochs.
  assert.equal(optimizerSteps(240, { ...most, n_epochs: 3 }).steps, 90);
});

test('a run from an adapter takes half the rate of a long run, however short it is', () => {
  const alpha64 = parsePeftConfig({ peft_type: 'LORA', r: 16, lora_alpha: 64 });
  const of = { model: { hiddenSize: 576, rateExponent: 0.781 }, answerCharacters: 0 };
  for (const [config, fresh, continued] of [
    [peft, 5.2e-3, 6.5e-4],
    [alpha64, 1.3e-3, 4.7e-4],
  ] as const) {
    const rate = (more: Partial<TrainingRequest>) =>
      resolve({ peft: config, ...of, training: { max_steps: 24 }, ...more }).learning_rate;
    assert.deepEqual([rate({}), rate({ continues: true })], [fresh, continued]);
    assert.equal(rate({ continues: true, exampleCount: 100_000, training: {} }), continued);
    assert.equal(rate({ continues: true, training: { learning_rate: 1e-3 } }), 1e-3);
  }
});

test('a new adapter of dpo has another rate for models that give the chosen answers already', () => {
  const pairs = { format: 'preference', model: { hiddenSize: 576, rateExponent: 0.781 } };
  const rates = (more: Partial<TrainingRequest> = {}) => {
    const { learning_rate, learning_rate_if_known } = resolve({ ...pairs, ...more });
    return [learning_rate, learning_rate_if_known];
  };
  const { fresh, known } = dpo.rateShares;
  const [rate, ifKnown] = rates() as [number, number];
  assert.ok(Math.abs(ifKnown / rate / (known / fresh) - 1) < 0.03, `${ifKnown} of ${rate}`);
  assert.deepEqual(rates({ hyperparameters: { learning_rate_multiplier: 2 } }), [2 * rate, 2 * ifKnown]);
  for (const more of [
    { training: { learning_rate: 1e-4 } },
    { training: { preference: { reference_free: true } } },
    { training: { min_lr: 1e-6 } },
    { continues: true },
    { method: 'kto' },
    { method: 'simpo' },
    { trials: 2, hasValidationFile: true },
    { format: 'completion' },
  ])
    assert.equal(rates(more)[1], undefined, JSON.stringify(more));
  assert.throws(() => parseTrainingOptions({ learning_rate_if_known: 1e-5 }), /learning_rate_if_known/);
});

test('a rate rises where there are steps to spare, and a constant one where it is asked to', () => {
  const warmup = (training: TrainingOptions) => resolve({ training }).warmup_steps;
  assert.deepEqual(
    [1, 2, 9, 10, 90].map((max_steps) => warmup({ max_steps })),
    [0, 0, 0, 1, 3],
  );
  const constant = { lr_scheduler_type: 'constant' } as const;
  assert.deepEqual([warmup(constant), warmup({ ...constant, warmup_steps: 5 })], [0, 5]);
  const risen = resolve({ training: { lr_scheduler_type: 'constant_with_warmup' } });
  assert.deepEqual([risen.lr_scheduler_type, risen.warmup_steps], ['constant', 3]);
});

test('runs of few epochs are evaluated several times', () => {
  const every = (n_epochs: number, more: TrainingOptions = {}) =>
    resolve({ training: { n_epochs, ...more } }).eval_steps;
  assert.deepEqual(
    [1, 2, 3, 9].map((epochs) => every(epochs)),
    [8, 15, 30, 30],
  );
  assert.deepEqual(
    [1, 2, 10, 90].map((max_steps) => every(3, { max_steps })),
    [1, 1, 3, 30],
  );
});

test('a batch of pairs is whole or in mini-batches, and that of other examples never is', () => {
  const peft = parsePeftConfig({ peft_type: 'LORA', task_type: 'FEATURE_EXTRACTION' });
  const training = { gradient_accumulation_steps: 4 };
  assert.deepEqual([resolve({ peft, training }).batch_size, resolve({ training }).batch_size], [32, 8]);
  for (const [asked, size] of [
    ['auto', null],
    [null, null],
    [4, 4],
  ] as const)
    assert.equal(resolve({ peft, training: { mini_batch_size: asked } }).mini_batch_size, size);
  for (const request of [{}, { peft }]) assert.equal(resolve(request).mini_batch_size, null);
  const fault = { code: 'invalid_training_option', param: 'training.mini_batch_size' };
  assert.throws(() => resolve({ training: { mini_batch_size: 4 } }), fault);
  const scored = { peft, format: 'scored_pairs', training: { mini_batch_size: 4 } };
  assert.throws(() => resolve(scored), fault);
});

test("OpenAI's hyperparameters and their ranges", () => {
  const training = resolve({
    hyperparameters: { n_epochs: 5, batch_size: 'auto', learning_rate_multiplier: 2 },
  });
  assert.equal(training.n_epochs, 5);
  assert.equal(training.learning_rate, 4e-4);
  for (const bad of [
    { n_epochs: 51 },
    { batch_size: 257 },
    { learning_rate_multiplier: 0 },
    { epochs: 1 },
    3,
  ])
    assert.ok(!Value.Check(HyperparametersSchema, bad), JSON.stringify(bad));
  rejects({ hyperparameters: { learning_rate_multiplier: 1e6 } }, 'invalid_hyperparameter', /limit is 1/);
  const doubled = { learning_rate_multiplier: 2 };
  assert.equal(
    resolve({ training: { learning_rate: 'auto' }, hyperparameters: doubled }).learning_rate,
    5.6e-4,
  );
});

test('training options win where they are the only word, and contradictions are errors', () => {
  assert.equal(
    resolve({ training: { learning_rate: 1e-3 }, hyperparameters: { learning_rate_multiplier: 'auto' } })
      .learning_rate,
    1e-3,
  );
  rejects(
    { training: { learning_rate: 1e-3 }, hyperparameters: { learning_rate_multiplier: 2 } },
    'invalid_training_option',
    /exclude/,
  );
  rejects(
    { training: { n_epochs: 2 }, hyperparameters: { n_epochs: 3 } },
    'invalid_training_option',
    /n_epochs is 3/,
  );
  rejects(
    { training: { max_seq_length: 4096 }, contextLength: 2048 },
    'invalid_training_option',
    /context is 2048/,
  );
  assert.equal(resolve({ contextLength: 512 }).max_seq_length, 512);
});

test('max_seq_length is the longest example, within what model, team and splitting allow', () => {
  const length = (asked: Parameters<typeof resolve>[0]) => {
    const { max_seq_length, gradient_checkpointing } = resolve(asked);
    return [max_seq_length, gradient_checkpointing];
  };
  assert.deepEqual(length({ longestExample: 57, contextLength: 8192 }), [64, false]);
  assert.deepEqual(length({ longestExample: 3, contextLength: 8192 }), [8, false]);
  assert.deepEqual(length({ longestExample: 5001, contextLength: 8192 }), [5008, true]);
  assert.deepEqual(length({ longestExample: 250, contextLength: 250 }), [250, false]);
  assert.deepEqual(length({ longestExample: 9000, contextLength: 8192 }), [8192, true]);
  assert.deepEqual(length({ longestExample: 5001, contextLength: 8192, quotaLength: 1024 }), [1024, false]);
  assert.deepEqual(length({ longestExample: 2048, contextLength: 8192, splitsTexts: true }), [2048, false]);
  assert.deepEqual(length({ contextLength: 8192 }), [2048, false], 'where it is not known');
  assert.deepEqual(length({ longestExample: 57, training: { max_seq_length: 100 } }), [100, false]);
});

test('pieces of a text repeat less than all of one another', () => {
  assert.equal(resolve({ training: { max_seq_length: 64, text_stride: 63 } }).text_stride, 63);
  // Short texts are not split, whatever the stride.
  assert.equal(resolve({ longestExample: 16, training: { text_stride: 64 } }).max_seq_length, 16);
  assert.throws(() => resolve({ training: { max_seq_length: 64, text_stride: 64 } }), /text_stride: is 64/);
});

test('a soft prompt leaves positions for text within max_seq_length', () => {
  const soft = (peft_type: string, num_virtual_tokens: number, max_seq_length: number) =>
    resolve({ peft: parsePeftConfig({ peft_type, num_virtual_tokens }), training: { max_seq_length } });
  for (const type of ['PROMPT_TUNING', 'P_TUNING', 'PREFIX_TUNING']) {
    assert.equal(soft(type, 15, 16).max_seq_length, 16);
    assert.throws(
      () => soft(type, 16, 16),
      (error: GraftError) =>
        error.param === 'training.max_seq_length' &&
        /training\.max_seq_length: is 16, and peft\.num_virtual_tokens takes 16/.test(error.message),
    );
  }
});

test('every bad training option is reported', () => {
  const bad = (training: unknown, message: RegExp) =>
    assert.throws(() => parseTrainingOptions(training), { code: 'invalid_training_option', message });
  bad({ learning_rate: 'fast' }, /learning_rate: must be "auto" or a number above 0 and of at most 1/);
  bad(3, /an object/);
  assert.throws(
    () => parseTrainingOptions({ learnign_rate: 1, packing: 'yes', precision: 'fp8' }),
    (error: GraftError) =>
      error.code === 'unknown_training_option' &&
      error.details?.map((detail) => detail.path).join() ===
        'training.learnign_rate,training.packing,training.precision',
  );
});

test('a resolved job is accepted again as it is', () => {
  const training = resolve({ training: { max_steps: 7 } });
  assert.deepEqual(parseTrainingOptions(training), training);
  assert.deepEqual(resolve({ training, hyperparameters: { n_epochs: 'auto' } }), training);
});

test('a validation split never takes all', () => {
  assert.equal(validationCount(100, 0), 0);
  assert.equal(validationCount(100, 0.1), 10);
  assert.equal(validationCount(3, 0.01), 1);
  assert.equal(validationCount(2, 0.5), 1);
  assert.equal(validationCount(1, 0.5), 0);
});
