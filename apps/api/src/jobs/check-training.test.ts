// Job requests that are rejected before anything is written.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertError } from '../testing/assert-error.ts';
import { type JobRequests, jobRequests, jobsPath as path } from '../testing/job-requests.ts';
import { type ApiBench, chatLine, openApiBench } from '../testing/open-api-bench.ts';

let bench: ApiBench;
let refuses: JobRequests['refuses'];
before(async () => {
  bench = await openApiBench();
  ({ refuses } = jobRequests(bench, await bench.acme.upload(chatLine)));
});
after(async () => await bench?.close());

test('refused before anything is written', async () => {
  assert.match(await refuses({ model: 'gpt-5' }, 'model_not_found', 'model'), /tiny/);
  await refuses({ model: 'ft:tiny:acme:x:y' }, 'model_not_found', 'model');
  await refuses({ model: '../../etc' }, 'model_not_found', 'model');
  await refuses({ training_file: 'file-none' }, 'file_not_found', 'training_file');
  await refuses({ validation_file: 'file-none' }, 'file_not_found', 'validation_file');
  await refuses({ method: { type: 'dpo', dpo: {} } }, 'unsupported_method', 'method.type');
  const reinforcement = { grader: { type: 'string_check' } };
  await refuses({ method: { type: 'reinforcement', reinforcement } }, 'unsupported_method', 'method.type');
  await refuses(
    { integrations: [{ type: 'wandb', wandb: { project: 'p' } }] },
    'integration_not_found',
    'integrations[0].type',
  );
  await refuses({ suffix: '' }, 'invalid_value', 'suffix');
  await refuses({ suffix: 'x'.repeat(65) }, 'invalid_value', 'suffix');
  await refuses({ suffix: 'a:b' }, 'invalid_value', 'suffix');
  await refuses({ seed: -1 }, 'invalid_value', 'seed');
  await refuses({ seed: 2_147_483_648 }, 'invalid_value', 'seed');
  await refuses({ seed: '7' }, 'invalid_value', 'seed');
  await refuses({ metadata: { k: 'v'.repeat(513) } }, 'invalid_value', 'metadata.k');
  await refuses({ metadata: { ['k'.repeat(65)]: 'v' } }, 'invalid_value');
  const seventeen = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, 'v']));
  await refuses({ metadata: seventeen }, 'invalid_value', 'metadata');
  await refuses({ training: { seed: 1 }, seed: 2 }, 'invalid_training_option', 'training.seed');
});

test('hyperparameters out of range', async () => {
  const method = (hyperparameters: object) => ({
    method: { type: 'supervised', supervised: { hyperparameters } },
  });
  const at = 'method.supervised.hyperparameters';
  const message = await refuses(method({ n_epochs: 0 }), 'invalid_value', `${at}.n_epochs`);
  assert.match(message, /must be >= 1/);
  const wrong = await refuses(method({ n_epochs: 'many' }), 'invalid_value', `${at}.n_epochs`);
  assert.match(wrong, /must be "auto" or integer/);
  await refuses(method({ batch_size: 257 }), 'invalid_value', `${at}.batch_size`);
  await refuses(method({ learning_rate_multiplier: 0 }), 'invalid_value', `${at}.learning_rate_multiplier`);
  await refuses(method({ beta: 1 }), 'unknown_parameter', `${at}.beta`);
  await refuses(method({ learning_rate_multiplier: 1e6 }), 'invalid_hyperparameter');
});

test('unknown keys are named, all of them', async () => {
  const message = await refuses({ epochs: 3, peftt: {} }, 'unknown_parameter', 'epochs');
  assert.match(message, /'epochs'.*'peftt'/);
  await refuses({ training: { learning_rat: 1 } }, 'unknown_training_option', 'training.learning_rat');
  const both = await refuses(
    { peft: { peft_type: 'LORA', rank: 8, use_qalora: true }, training: { epochs: 1 } },
    'unknown_peft_option',
    'peft.rank',
  );
  assert.match(both, /peft\.rank.*peft\.use_qalora.*training\.epochs/);
  assertError(await bench.acme.send('POST', path, {}), 400, 'missing_required_parameter', 'model');
  assertError(await bench.acme.send('POST', path), 400, 'invalid_value', null);
});

test('PEFT options that are unknown, unimplemented or do not fit the model', async () => {
  const peft = (options: object) => ({ peft: { peft_type: 'LORA', ...options } });
  await refuses(peft({ use_qalora: true }), 'unimplemented_peft_option', 'peft.use_qalora');
  await refuses({ peft: { peft_type: 'RANDLORA' } }, 'unimplemented_peft_type', 'peft.peft_type');
  await refuses({ peft: { peft_type: 'LORAX' } }, 'unknown_peft_type', 'peft.peft_type');
  await refuses({ peft: { peft_type: 7 } }, 'invalid_peft_config', 'peft.peft_type');
  await refuses(peft({ r: 0 }), 'invalid_peft_config', 'peft.r');
  const nearest = await refuses(
    peft({ target_modules: ['q_porj'] }),
    'target_modules_not_found',
    'peft.target_modules',
  );
  assert.match(nearest, /q_proj/);
  await refuses(peft({ target_modules: 'layers.9.*' }), 'target_modules_not_found');
  await refuses(peft({ target_modules: '(' }), 'invalid_peft_config');
  await refuses(peft({ target_modules: ['input_layernorm'] }), 'invalid_peft_config', 'peft.target_modules');
  const large = await refuses(peft({ r: 17, target_modules: ['k_proj'] }), 'rank_too_large', 'peft.r');
  assert.match(large, /k_proj.*16 × 32/);
  await refuses(
    peft({ target_modules: ['q_proj'], rank_pattern: { 'layers.1.self_attn.q_proj': 33 } }),
    'rank_too_large',
    'peft.rank_pattern',
  );
  await refuses(
    peft({ modules_to_save: ['classifier'] }),
    'target_modules_not_found',
    'peft.modules_to_save',
  );
  await refuses({ training: { max_seq_length: 65 } }, 'invalid_training_option', 'training.max_seq_length');
});
