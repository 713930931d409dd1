import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeftConfig } from './peft-config.ts';
import { resolveTraining } from './resolve-training.ts';
import { rejects, resolve } from './testing/resolve.ts';
import { parseTrainingOptions, type TrainingOptions } from './training-options.ts';

test('variables of the chat template are kept where there are some, and refused where a template cannot be given them', () => {
  const peft = parsePeftConfig({ peft_type: 'LORA' });
  const resolved = (training: object) =>
    resolveTraining({ peft, training: parseTrainingOptions(training), exampleCount: 100 });
  const chat_template_kwargs = { enable_thinking: false };
  assert.deepEqual(resolved({ chat_template_kwargs }).chat_template_kwargs, chat_template_kwargs);
  for (const none of [{}, { chat_template_kwargs: {} }])
    assert.equal(Object.hasOwn(resolved(none), 'chat_template_kwargs'), false);
  for (const bad of [7, [], null, { messages: [] }, { a: 'x'.repeat(5000) }])
    assert.throws(() => parseTrainingOptions({ chat_template_kwargs: bad }), {
      code: 'invalid_training_option',
      param: 'training.chat_template_kwargs',
    });
});

test('a least rate and a stable one are resolved into the words of transformers, and what makes no sense is refused', () => {
  const schedule = (training: TrainingOptions) => {
    const { lr_scheduler_type, lr_scheduler_kwargs } = resolve({ training });
    return [lr_scheduler_type, lr_scheduler_kwargs];
  };
  assert.ok(!('lr_scheduler_kwargs' in resolve()));
  const least = { learning_rate: 1e-3, min_lr_rate: 0.1 };
  assert.deepEqual(schedule(least), ['cosine_with_min_lr', { min_lr_rate: 0.1 }]);
  assert.deepEqual(schedule({ learning_rate: 1e-3, min_lr: 1e-4 }), ['cosine_with_min_lr', { min_lr: 1e-4 }]);
  const stable = { lr_scheduler_type: 'warmup_stable_decay', learning_rate: 1e-3 } as const;
  assert.deepEqual(schedule({ ...stable, min_lr: 1e-4 }), [
    'warmup_stable_decay',
    { min_lr_ratio: 0.1, num_decay_steps: 9 }, // a tenth of 90 steps
  ]);
  const resolved = resolve({ training: { ...stable, lr_scheduler_kwargs: { decay_type: '1-sqrt' } } });
  assert.deepEqual(resolve({ training: parseTrainingOptions(resolved) }), resolved);
  const fault = (training: object, param: string, message = /./) =>
    assert.throws(() => resolve({ training: parseTrainingOptions(training) }), {
      code: /^(invalid|unknown)_training_option$/,
      param: `training.${param}`,
      message,
    });
  fault({ ...least, min_lr: 1e-4 }, 'min_lr', /exclude/);
  fault({ ...least, lr_scheduler_type: 'linear' }, 'min_lr_rate', /no meaning/);
  fault({ learning_rate: 1e-3, min_lr: 1e-2 }, 'min_lr', /more than learning_rate/);
  fault({ lr_scheduler_type: 'cosine_with_min_lr' }, 'lr_scheduler_kwargs', /needs one of/);
  fault({ lr_scheduler_kwargs: { min_lr_rate: 0.1 } }, 'lr_scheduler_kwargs.min_lr_rate', /not an option/);
  fault({ lr_scheduler_kwargs: { min_lr_rat: 0.1 } }, 'lr_scheduler_kwargs.min_lr_rat', /did you mean/);
  fault({ lr_scheduler_kwargs: { min_lr: 'a' } }, 'lr_scheduler_kwargs.min_lr', /a number from 0 to 1/);
  fault({ lr_scheduler_kwargs: 3 }, 'lr_scheduler_kwargs', /an object/);
  fault({ ...stable, lr_scheduler_kwargs: { num_decay_steps: 88 } }, 'lr_scheduler_kwargs', /91 steps/);
});

test('LoRA+ is of updates with two factors', () => {
  assert.ok(!('loraplus_lr_ratio' in resolve()));
  const plus = resolve({ training: { loraplus_lr_ratio: 8 } });
  assert.deepEqual([plus.loraplus_lr_ratio, plus.loraplus_lr_embedding], [8, 1e-6]);
  const ia3 = parsePeftConfig({ peft_type: 'IA3' });
  rejects({ peft: ia3, training: { loraplus_lr_ratio: 8 } }, 'invalid_training_option', /two factors/);
  rejects(
    { training: { loraplus_lr_embedding: 1e-4 } },
    'invalid_training_option',
    /needs loraplus_lr_ratio/,
  );
});

test('labels are smoothed where there are some, and classes are weighed where there are classes', () => {
  const classifier = parsePeftConfig({ peft_type: 'LORA', task_type: 'SEQ_CLS' });
  const encoder = parsePeftConfig({ peft_type: 'LORA', task_type: 'FEATURE_EXTRACTION' });
  // 0 disables an option, and disabled options are absent.
  assert.deepEqual(resolve({ training: { label_smoothing_factor: 0 } }), resolve());
  const training = parseTrainingOptions({ label_smoothing_factor: 0.1, class_weights: { a: 2 } });
  const resolved = resolve({ peft: classifier, training });
  assert.deepEqual([resolved.label_smoothing_factor, resolved.class_weights], [0.1, { a: 2 }]);
  assert.deepEqual(resolve({ peft: classifier, training: parseTrainingOptions(resolved) }), resolved);
  rejects({ training: { class_weights: 'balanced' } }, 'invalid_training_option', /of classifiers/);
  const smoothed = { training: { label_smoothing_factor: 0.1 } };
  rejects({ peft: encoder, ...smoothed }, 'invalid_training_option', /has neither/);
  for (const class_weights of [{ a: 0 }, [1], 'rare', 3])
    assert.throws(() => parseTrainingOptions({ class_weights }), { param: 'training.class_weights' });
});

test('options of preferences are those of the method, with its defaults', () => {
  const pairs = { format: 'preference' };
  const preferenceOf = (method: string, preference?: object) =>
    resolve({
      ...pairs,
      method,
      training: parseTrainingOptions(preference === undefined ? {} : { preference }),
    }).preference;
  assert.equal(resolve().preference, undefined);
  assert.deepEqual(preferenceOf('dpo'), { beta: 0.1, loss_type: 'sigmoid' });
  assert.deepEqual(preferenceOf('simpo', { beta: 'auto', simpo_gamma: 1 }), {
    beta: 2,
    simpo_gamma: 1,
    cpo_alpha: 0,
  });
  const { preference } = resolve({ ...pairs, hyperparameters: { beta: 0.2 } });
  assert.deepEqual(preference, { beta: 0.2, loss_type: 'sigmoid' }, 'dpo is the default of pairs');
  const fault = (method: string | null, training: object, param: string, message: RegExp) =>
    assert.throws(
      () => resolve({ ...(method ? pairs : {}), method, training: parseTrainingOptions(training) }),
      { code: /^(invalid|unknown)_training_option$/, param: `training.${param}`, message },
    );
  const simpo = { preference: { simpo_gamma: 1 } };
  fault(
    'dpo',
    simpo,
    'preference.simpo_gamma',
    /no option of the method dpo, which has beta, .*; leave it out/,
  );
  fault(null, simpo, 'preference', /the methods dpo, .* the job's method is supervised; set method\.type/);
  for (const beta of [0, -1, 101, '0.1', null])
    fault(
      'dpo',
      { preference: { beta } },
      'preference.beta',
      /"auto" or a number above 0 and of at most 100/,
    );
  fault('dpo', { preference: { bete: 1 } }, 'preference.bete', /did you mean beta/);
  fault('dpo', { preference: 0.1 }, 'preference', /must be an object/);
  fault('kto', { batch_size: 1 }, 'batch_size', /compares the completions of a batch; use 2 or more/);
  const two = { ...pairs, hyperparameters: { beta: 0.2 }, training: { preference: { beta: 0.1 } } };
  rejects(two, 'invalid_training_option', /preference\.beta: is 0\.1, but hyperparameters\.beta is 0\.2/);
});

test('a metric is named with or without eval_, as in the Trainer of transformers', () => {
  const metricOf = (metric_for_best_model: string) =>
    parseTrainingOptions({ metric_for_best_model }).metric_for_best_model;
  assert.equal(metricOf('rewards_accuracy'), 'eval_rewards_accuracy');
  assert.equal(metricOf('loss'), 'eval_loss');
  assert.equal(metricOf('recall_at_10'), 'eval_recall_at_10');
  assert.equal(metricOf('maths_loss'), 'eval_maths_loss');
  for (const full of ['eval_loss', 'eval_rewards_margin', 'eval_maths_accuracy'])
    assert.equal(metricOf(full), full);
  for (const unknown of ['los', 'rewards_loose', 'perplexity', 'eval', ''])
    assert.throws(() => metricOf(unknown), { param: 'training.metric_for_best_model' }, unknown);
  assert.throws(() => parseTrainingOptions({ metric_for_best_model: 3 }), {
    param: 'training.metric_for_best_model',
  });
  const { greater_is_better } = resolve({
    format: 'preference',
    hasValidationFile: true,
    training: parseTrainingOptions({ metric_for_best_model: 'rewards_margin' }),
  });
  assert.equal(greater_is_better, true);
});
