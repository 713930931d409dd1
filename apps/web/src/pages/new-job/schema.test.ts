import assert from 'node:assert/strict';
import { test } from 'node:test';
import { methods, TrainingOptionsSchema } from '@graft/peft-core/config';
import { draftFromRequest, faultAt, groupFaults, withValue } from './draft.ts';
import { formatValue, listChoices, parseValue, type Schema } from './schema.ts';

const option = (type: keyof typeof methods, name: string) =>
  methods[type].schema.properties[name] as unknown as Schema;
const training = (name: keyof typeof TrainingOptionsSchema.properties) =>
  TrainingOptionsSchema.properties[name] as unknown as Schema;

test('text is parsed by the schema of its field', () => {
  const cases: [string, Schema, unknown][] = [
    ['', option('LORA', 'r'), undefined],
    ['16', option('LORA', 'r'), 16],
    ['1e-4', training('learning_rate'), 1e-4],
    ['auto', training('learning_rate'), 'auto'],
    ['balanced', training('class_weights'), 'balanced'],
    ['0.5, 3', training('class_weights'), [0.5, 3]],
    ['{"urgent": 4}', training('class_weights'), { urgent: 4 }],
    ['{"min_lr": 1e-5}', training('lr_scheduler_kwargs'), { min_lr: 1e-5 }],
    ['lots', option('LORA', 'r'), 'lots'],
    ['all-linear', option('LORA', 'target_modules'), 'all-linear'],
    ['q_proj, v_proj', option('LORA', 'target_modules'), ['q_proj', 'v_proj']],
    ['["q_proj"]', option('LORA', 'target_modules'), ['q_proj']],
    ['q_proj,', option('LORA', 'target_modules'), ['q_proj']],
    ['null', option('LORA', 'target_modules'), null],
    ['lm_head', option('LORA', 'modules_to_save'), ['lm_head']],
    ['3', option('LORA', 'layers_to_transform'), 3],
    ['3, 4', option('LORA', 'layers_to_transform'), [3, 4]],
    ['0', option('TRAINABLE_TOKENS', 'token_indices'), [0]],
    ['bias, norm', option('SELECTIVE', 'kinds'), ['bias', 'norm']],
    ['{"q_proj": 4}', option('LORA', 'rank_pattern'), { q_proj: 4 }],
    ['A text, with a comma', option('PROMPT_TUNING', 'prompt_tuning_init_text'), 'A text, with a comma'],
    ['{"q_proj": 4', option('LORA', 'rank_pattern'), '{"q_proj": 4'],
  ];
  for (const [text, schema, value] of cases) assert.deepEqual(parseValue(text, schema), value, text);
});

test('every default survives formatting and parsing', () => {
  for (const { schema } of Object.values(methods)) {
    for (const [name, each] of Object.entries(schema.properties) as unknown as [string, Schema][]) {
      if (each.default === undefined || listChoices(each)) continue;
      const text = formatValue(each.default);
      if (text !== '') assert.deepEqual(parseValue(text, each), each.default, name);
    }
  }
});

test('options with few values have choices, others have none', () => {
  assert.deepEqual(listChoices(training('packing')), [true, false]);
  assert.deepEqual(listChoices(training('gradient_checkpointing')), ['auto', true, false]);
  const starts = [true, false, 'gaussian', 'orthogonal', 'pissa', 'olora', 'loftq', 'eva'];
  assert.deepEqual(listChoices(option('LORA', 'init_lora_weights')), starts);
  for (const name of ['r', 'target_modules']) assert.equal(listChoices(option('LORA', name)), null);
});

test('a value is set and removed, with parents that become empty', () => {
  const draft = withValue(withValue({ model: 'tiny' }, 'peft.r', 4), 'training.n_epochs', 2);
  assert.deepEqual(draft, { model: 'tiny', peft: { r: 4 }, training: { n_epochs: 2 } });
  assert.deepEqual(withValue(draft, 'peft.r', undefined), { model: 'tiny', training: { n_epochs: 2 } });
  assert.deepEqual(withValue({ peft: 5 }, 'peft.r', 4), { peft: { r: 4 } });
});

test('a draft from a request has no automatic or empty values', () => {
  const request = {
    model: 'tiny',
    training_file: 'file-1',
    validation_file: null,
    metadata: {},
    sweep: null,
    seed: 0,
    method: {
      type: 'supervised' as const,
      supervised: { hyperparameters: { n_epochs: 2, batch_size: 'auto' as const } },
    },
  };
  assert.deepEqual(draftFromRequest(request), {
    model: 'tiny',
    training_file: 'file-1',
    seed: 0,
    method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 2 } } },
  });
});

test('an error is found at its field, and an error in a list at the list', () => {
  const faults = groupFaults([
    { param: 'integrations[0].type', message: 'a' },
    { param: null, message: 'b' },
    { param: 'peft.r', message: 'c' },
    { param: 'peft.r', message: 'd' },
  ]);
  assert.equal(faultAt(faults, 'integrations'), 'a');
  assert.equal(faultAt(faults, 'peft.r'), 'c');
  assert.equal(faultAt(faults, 'peft.rank'), null);
  assert.equal(faults.get(''), 'b');
});
