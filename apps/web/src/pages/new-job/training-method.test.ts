import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobCreateParams, Wire } from '@graft/client';
import { listedObjectives } from '@graft/peft-core/config';
import { draftFromRequest, methodOf, methodsFor, preferenceOptions, withBeta, withMethod } from './draft.ts';

const objectives = listedObjectives as unknown as Wire.FineTuningObjective[];

test('every method is offered for the formats that it trains on', () => {
  assert.deepEqual(methodsFor(objectives, 'preference'), ['dpo', 'orpo', 'simpo', 'kto']);
  assert.deepEqual(methodsFor(objectives, 'unpaired_preference'), ['kto']);
  assert.deepEqual(methodsFor(objectives, 'chat'), ['supervised']);
  assert.equal(methodOf({}, objectives, 'unpaired_preference'), 'kto');
  assert.equal(methodOf({ method: { type: 'orpo' } }, objectives, 'preference'), 'orpo');
  assert.equal(methodOf({}, objectives, null), 'supervised');
});

test('a description begins as a sentence', () => {
  const preference = { properties: { beta: { description: 'how strongly. Default 0.1.' }, other: {} } };
  const methods = [{ type: 'dpo', title: 'DPO', when: 'Usually.', preference }];
  assert.deepEqual(preferenceOptions(methods, 'dpo'), [
    ['beta', { description: 'How strongly. Default 0.1.' }],
    ['other', { description: '' }],
  ]);
  assert.deepEqual(preferenceOptions(methods, 'kto'), []);
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
