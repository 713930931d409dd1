import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openAiJob } from '../testing/openai-server.ts';
import { type MapOptions, mapJob, modelMapping, type OpenAiJob } from './map-job.ts';

const options: MapOptions = { models: new Map([['gpt-4o-mini', 'smollm2']]), hyperparameters: 'keep' };
const map = (more: object, given: Partial<MapOptions> = {}) =>
  mapJob(openAiJob('ftjob-1', more) as unknown as OpenAiJob, { ...options, ...given });
const hyperparameters = (values: object) => ({
  method: { type: 'supervised', supervised: { hyperparameters: values } },
});

describe('a job of OpenAI', () => {
  test('becomes what creates the same one in Graft', () => {
    const { create, differs } = map({ validation_file: 'file-valid', metadata: { team: 'support' } });
    assert.deepEqual(create, {
      model: 'smollm2',
      training_file: 'file-train',
      validation_file: 'file-valid',
      suffix: 'support',
      seed: 42,
      method: {
        type: 'supervised',
        supervised: { hyperparameters: { n_epochs: 3, batch_size: 1, learning_rate_multiplier: 1.8 } },
      },
      metadata: { team: 'support', openai_job: 'ftjob-1' },
    });
    assert.match(differs.join('\n'), /gpt-4o-mini-2024-07-18 is replaced by smollm2/);
    assert.match(differs.join('\n'), /learning_rate_multiplier multiplies .*default method/);
    assert.match(differs.join('\n'), /default method and settings/);
  });

  test('of old clients has its hyperparameters at the top; auto is left to Graft', () => {
    const old = { method: undefined, hyperparameters: { n_epochs: 'auto', batch_size: 4 } };
    assert.deepEqual(map(old).create?.method, {
      type: 'supervised',
      supervised: { hyperparameters: { batch_size: 4 } },
    });
    assert.deepEqual(map({}, { hyperparameters: 'auto' }).create?.method, {
      type: 'supervised',
      supervised: { hyperparameters: {} },
    });
  });

  test('keeps DPO with its beta', () => {
    const dpo = { hyperparameters: { beta: 0.1, n_epochs: 2 } };
    const { create, differs } = map({ method: { type: 'dpo', dpo } });
    assert.deepEqual(create?.method, { type: 'dpo', dpo: { hyperparameters: { n_epochs: 2, beta: 0.1 } } });
    assert.doesNotMatch(differs.join('\n'), /DPO|beta/);
    const beta = map({ method: { type: 'dpo', dpo: { hyperparameters: { beta: 0 } } } });
    assert.deepEqual(beta.create?.method, { type: 'dpo', dpo: { hyperparameters: {} } });
    assert.match(beta.differs.join('\n'), /beta is 0, which is not valid in Graft/);
    const plain = map({ method: { type: 'dpo', dpo: { hyperparameters: { beta: 'auto' } } } });
    assert.deepEqual(plain.create?.method, { type: 'dpo', dpo: { hyperparameters: {} } });
  });

  test('is left where Graft has nothing like it, with the reason', () => {
    const reinforcement = { type: 'reinforcement', reinforcement: { grader: { type: 'multi' } } };
    assert.match(map({ method: reinforcement }).why ?? '', /no graders/);
    assert.match(map({ method: { type: 'distil' } }).why ?? '', /distil is not known/);
    assert.match(map({ model: 'ft:gpt-4o-mini:acme::1' }).why ?? '', /weights stay at OpenAI/);
    assert.match(map({ model: 'gpt-4.1' }).why ?? '', /--model gpt-4\.1=/);
  });

  test('finds its base model by full name, by name without the date, then by *', () => {
    const models = new Map([
      ['*', 'any'],
      ['gpt-4o-mini', 'undated'],
      ['gpt-4o-mini-2024-07-18', 'dated'],
    ]);
    assert.equal(map({}, { models }).create?.model, 'dated');
    assert.equal(map({ model: 'gpt-4o-mini-2025-01-01' }, { models }).create?.model, 'undated');
    assert.equal(map({ model: 'gpt-4o' }, { models }).create?.model, 'any');
    assert.equal(map({ model: 'gpt-4o' }).create, null);
  });

  test('with values that Graft does not take is brought within its limits, and every change is reported', () => {
    const over = map(hyperparameters({ n_epochs: 90, batch_size: 0, learning_rate_multiplier: -1 }));
    assert.deepEqual(over.create?.method?.supervised?.hyperparameters, { n_epochs: 50 });
    assert.match(over.differs.join('\n'), /n_epochs is 90; the maximum in Graft is 50/);
    assert.match(over.differs.join('\n'), /batch_size is 0, which is not valid in Graft/);
    assert.match(over.differs.join('\n'), /learning_rate_multiplier is -1, which is not valid in Graft/);
    const odd = map(hyperparameters({ n_epochs: '3', batch_size: [1], learning_rate_multiplier: {} }));
    assert.deepEqual(odd.create?.method?.supervised?.hyperparameters, {});
    const suffix = map({ user_provided_suffix: 'Ticket bot (v2)!' });
    assert.equal(suffix.create?.suffix, 'Ticket-bot-v2-');
    assert.match(suffix.differs.join('\n'), /"Ticket bot \(v2\)!" becomes Ticket-bot-v2-/);
    assert.equal(map({ user_provided_suffix: '日本' }).create?.suffix, undefined);
    assert.equal(map({ user_provided_suffix: undefined }).create?.suffix, 'support');
    assert.equal(map({ seed: 2 ** 31 }).create?.seed, undefined);
    const metadata = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, 'v']));
    const full = map({ metadata });
    assert.equal(Object.keys(full.create?.metadata ?? {}).length, 16);
    assert.equal(full.create?.metadata?.openai_job, 'ftjob-1');
    assert.match(full.differs.join('\n'), /metadata holds 15 pairs/);
    assert.match(map({ integrations: [{ type: 'wandb' }] }).differs.join('\n'), /integrations are left out/);
  });
});

test('--model wants theirs=ours', () => {
  assert.deepEqual(
    [...modelMapping('b=y', modelMapping('a=x'))],
    [
      ['a', 'x'],
      ['b', 'y'],
    ],
  );
  for (const wrong of ['a', '=x', 'a=', 'a=b=c', '']) assert.throws(() => modelMapping(wrong), /theirs=ours/);
});
