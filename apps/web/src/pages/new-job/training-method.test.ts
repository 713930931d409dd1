import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobCreateParams, Wire } from '@graft/client';
import { listedObjectives, TrainingOptionsSchema } from '@graft/peft-core/config';
import { draftFromRequest } from './draft.ts';
import {
  methodOf,
  methodsFor,
  methodText,
  preferenceOptions,
  withBeta,
  withMethod,
} from './training-method.ts';

const objectives = listedObjectives as unknown as Wire.FineTuningObjective[];
const methods = methodsFor(objectives, null);
const names = (method: string, schema: unknown = TrainingOptionsSchema) =>
  preferenceOptions(schema, method, methods).map(([name]) => name);

test('every method is described, and offered for the formats that it trains on', () => {
  for (const method of methods) assert.notEqual(methodText(method).when, '', method);
  assert.deepEqual(methodsFor(objectives, 'preference'), ['dpo', 'orpo', 'simpo', 'kto']);
  assert.deepEqual(methodsFor(objectives, 'unpaired_preference'), ['kto']);
  assert.deepEqual(methodsFor(objectives, 'chat'), ['supervised']);
  assert.equal(methodOf({}, objectives, 'unpaired_preference'), 'kto');
  assert.equal(methodOf({ method: { type: 'orpo' } }, objectives, 'preference'), 'orpo');
  assert.equal(methodOf({}, objectives, null), 'supervised');
});

test('each method has exactly the options of its objective', () => {
  for (const { method, preference } of listedObjectives)
    if (preference) assert.deepEqual(names(method).sort(), Object.keys(preference.properties).sort(), method);
});

test('a description of several methods is cut to the one that is chosen', () => {
  const description = 'dpo: first. simpo: second. kto with a: third. Default 1.';
  const schema = { properties: { preference: { properties: { beta: { description } } } } };
  const hint = (method: string) => preferenceOptions(schema, method, methods)[0]?.[1].description?.trim();
  assert.equal(hint('dpo'), 'First.');
  assert.equal(hint('simpo'), 'Second.');
  assert.equal(hint('kto'), 'With a: third. Default 1.');
  assert.equal(hint('orpo'), undefined);
});

test('another method keeps what all methods have', () => {
  const given = {
    model: 'm',
    method: { type: 'dpo', dpo: { hyperparameters: { n_epochs: 2, beta: 0.3 } } },
    training: { preference: { loss_type: 'ipo' }, batch_size: 4 },
  };
  assert.deepEqual(withMethod(given, 'simpo'), {
    model: 'm',
    method: { type: 'simpo', simpo: { hyperparameters: { n_epochs: 2 } } },
    training: { batch_size: 4 },
  });
  assert.deepEqual(withBeta({}, 'dpo', 0.2), {
    method: { type: 'dpo', dpo: { hyperparameters: { beta: 0.2 } } },
  });
  assert.deepEqual(withBeta(withBeta({}, 'dpo', 0.2), 'dpo', undefined), { method: { type: 'dpo' } });
});

test('a draft from a request keeps its method', () => {
  const draftOf = (method: unknown) => draftFromRequest({ method } as JobCreateParams).method;
  const dpo = { type: 'dpo', dpo: { hyperparameters: { beta: 0.2, n_epochs: 'auto' } } };
  assert.deepEqual(draftOf(dpo), { type: 'dpo', dpo: { hyperparameters: { beta: 0.2 } } });
  assert.deepEqual(draftOf({ type: 'kto' }), { type: 'kto' });
  assert.equal(draftOf({ type: 'supervised', supervised: { hyperparameters: {} } }), undefined);
});
