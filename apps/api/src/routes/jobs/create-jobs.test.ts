import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parsePeftConfig } from '@graft/peft-core/config';
import { getJob } from '@graft/service/jobs';
import { assertError } from '../../testing/assert-error.ts';
import { type JobRequests, jobRequests, jobsPath as path } from '../../testing/job-requests.ts';
import { type ApiBench, chatLine, openApiBench } from '../../testing/open-api-bench.ts';

let bench: ApiBench;
let file: string;
let create: JobRequests['create'];
let refuses: JobRequests['refuses'];
before(async () => {
  bench = await openApiBench();
  file = await bench.acme.upload(`${chatLine}\n`.repeat(3));
  ({ create, refuses } = jobRequests(bench, file));
});
after(async () => await bench?.close());

describe('creating jobs', () => {
  const configs: Record<string, unknown>[] = [
    { peft_type: 'LORA', use_dora: true, trainable_token_indices: [1, 2] },
    { peft_type: 'IA3' },
    { peft_type: 'BOTTLENECK', preset: 'double_seq_bn' },
    { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 4 },
    { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 4, prefix_projection: true, encoder_hidden_size: 8 },
    { peft_type: 'P_TUNING', num_virtual_tokens: 4, encoder_reparameterization_type: 'LSTM' },
    { peft_type: 'TRAINABLE_TOKENS', token_indices: [3, 4] },
    { peft_type: 'LN_TUNING' },
    { peft_type: 'SELECTIVE', kinds: ['norm'] },
  ];
  for (const config of configs) {
    test(`${config.peft_type}: the job shows every option, as the method has it`, async () => {
      const { preset: _, ...given } = config;
      const answer = await create({ peft: config });
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(answer.json.peft, { ...answer.json.peft, ...given });
      assert.deepEqual(answer.json.peft, parsePeftConfig(config));
      await bench.untilState(answer.json.id, 'queued');
    });
  }

  test('the whole object, from validating_files to queued', async () => {
    const answer = await create({
      suffix: 'my-model',
      seed: 7,
      metadata: { run: 'a', 'key with "quotes"': 'b' },
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 2, batch_size: 'auto' } } },
      integrations: null,
      peft: { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: ['q_proj', 'v_proj'] },
      training: { max_seq_length: 32, lr_scheduler_type: 'linear' },
    });
    assert.equal(answer.status, 200, answer.text);
    const job = answer.json;
    assert.match(job.id, /^ftjob-/);
    assert.equal(job.object, 'fine_tuning.job');
    assert.equal(job.status, 'validating_files');
    assert.equal(job.organization_id, bench.acme.teamId);
    assert.deepEqual([job.model, job.training_file, job.validation_file, job.seed], ['tiny', file, null, 7]);
    const nulls = [
      'fine_tuned_model',
      'finished_at',
      'trained_tokens',
      'error',
      'validation',
      'progress',
      'estimated_finish',
    ];
    for (const name of nulls) assert.equal(job[name], null, name);
    assert.deepEqual([job.result_files, job.integrations], [[], []]);
    assert.deepEqual(job.metadata, { run: 'a', 'key with "quotes"': 'b' });
    assert.equal(job.peft.r, 4);
    assert.equal(job.peft.lora_dropout, 0);

    await bench.untilState(job.id, 'queued');
    const queued = (await bench.acme.send('GET', `${path}/${job.id}`)).json;
    assert.equal(queued.status, 'queued');
    assert.ok(queued.queue_position >= 1);
    assert.deepEqual(queued.hyperparameters, { n_epochs: 2, batch_size: 3, learning_rate_multiplier: 1 });
    assert.deepEqual(queued.method, {
      type: 'supervised',
      supervised: { hyperparameters: queued.hyperparameters },
    });
    assert.equal(queued.training.max_seq_length, 32);
    assert.equal(queued.training.lr_scheduler_type, 'linear');
    assert.equal(queued.training.seed, 7);
    assert.equal(queued.training.learning_rate, 0.014);
    assert.equal(
      queued.training_reasons.learning_rate,
      'what suits LoRA on this base model for this number of steps',
    );
    for (const asked of ['n_epochs', 'max_seq_length']) assert.ok(!(asked in queued.training_reasons), asked);
  });

  test('the least: model and file', async () => {
    const answer = await create();
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(
      [answer.json.peft.peft_type, answer.json.peft.r, answer.json.peft.target_modules],
      ['LORA', 16, 'all-linear'],
    );
    assert.equal(typeof answer.json.seed, 'number');
    await bench.untilState(answer.json.id, 'queued');
    const job = (await getJob(bench.services, bench.acme.teamId, answer.json.id))!;
    assert.equal(job.resolvedTraining?.seed, answer.json.seed);
    assert.equal(job.resolvedTraining?.max_seq_length, 24);
  });

  test('the deprecated hyperparameters of old clients', async () => {
    const answer = await create({ hyperparameters: { n_epochs: 1, learning_rate_multiplier: 2 } });
    assert.equal(answer.status, 200, answer.text);
    await bench.untilState(answer.json.id, 'queued');
    const { json } = await bench.acme.send('GET', `${path}/${answer.json.id}`);
    assert.deepEqual(json.hyperparameters, { n_epochs: 1, batch_size: 3, learning_rate_multiplier: 2 });
    assert.equal(json.training.learning_rate, 0.005);
    assert.equal(answer.json.training_reasons, null, 'nothing is chosen yet');
    const { learning_rate, n_epochs, batch_size } = json.training_reasons;
    assert.equal(
      learning_rate,
      '2.5e-3, which suits LoRA on this base model for this number of steps, × learning_rate_multiplier 2',
    );
    assert.deepEqual([n_epochs, batch_size], [undefined, 'all examples that there are']);
    const method = { type: 'supervised', supervised: { hyperparameters: { n_epochs: 2 } } };
    await refuses({ method, hyperparameters: { n_epochs: 1 } }, 'invalid_value', 'hyperparameters');
  });

  test('a file of another team is as unknown as none', async () => {
    const foreign = await bench.other.upload(chatLine);
    const known = await create({ training_file: foreign });
    const unknown = await create({ training_file: `file-${'x'.repeat(24)}` });
    assertError(known, 400, 'file_not_found', 'training_file');
    assert.equal(known.text.replace(foreign, '?'), unknown.text.replace(`file-${'x'.repeat(24)}`, '?'));
    assertError(await create({ validation_file: foreign }), 400, 'file_not_found', 'validation_file');
  });

  test('retried creates make one job', async () => {
    const body = { metadata: { unique: 'retry' } };
    const first = await create(body);
    const retried = await create(body, { 'x-stainless-retry-count': '1' });
    assert.equal(retried.json.id, first.json.id);
    assert.equal(retried.headers.get('idempotent-replayed'), 'true');
    // Without the header the same request creates a second job, and another body is another request.
    assert.notEqual((await create(body)).json.id, first.json.id);
    const other = await create({ metadata: { unique: 'other' } }, { 'x-stainless-retry-count': '1' });
    assert.notEqual(other.json.id, first.json.id);
  });

  test('Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'abc' };
    const both = await Promise.all([create({ seed: 1 }, headers), create({ seed: 1 }, headers)]);
    assert.equal(both[0].json.id, both[1].json.id);
    assert.equal((await create({ seed: 1 }, headers)).json.id, both[0].json.id);
    assertError(await create({ seed: 2 }, headers), 422, 'idempotency_key_reused');
    const foreign = await bench.other.upload(chatLine);
    const body = { model: 'tiny', training_file: foreign };
    const other = await bench.other.send('POST', path, body, headers);
    assert.equal(other.status, 200, other.text);
    assertError(await create({}, { 'idempotency-key': 'x'.repeat(256) }), 400, 'invalid_value');
  });
});
