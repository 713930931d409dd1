import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Job, leaseOf, recordCheckpoint } from '@graft/service/jobs';
import { setQuota } from '@graft/service/teams';
import { assertError } from '../../testing/assert-error.ts';
import { keepCheckpoint } from '../../testing/keep-checkpoint.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../../testing/open-api-bench.ts';
import { runJob } from '../../testing/run-job.ts';
import { done, says, startScriptedWorker, token } from '../../testing/scripted-worker.ts';

let bench: ApiBench;
let job: Job;
let path: string;
before(async () => {
  bench = await openApiBench();
  job = await runningJob(bench.acme, 'poet');
  path = `/v1/fine_tuning/jobs/${job.id}/checkpoints`;
  for (const step of [10, 20, 30, 40, 50]) await keepCheckpoint(bench, job, step, 20);
  await recordCheckpoint(bench.services, leaseOf(job), {
    step: 45,
    path: `checkpoints/${job.id}/1/45`,
    bytes: 9,
    digest: 'a'.repeat(64),
    seconds: 1.5,
    metrics: {},
    series: [],
  });
});
after(async () => await bench?.close());

async function runningJob(team: Caller, suffix: string): Promise<Job> {
  const training_file = await team.upload(chatLine);
  const created = await team.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file, suffix });
  return await runJob(bench, created.json.id);
}

const list = async () => (await bench.acme.send('GET', `${path}?all=true`)).json.data;
// biome-ignore lint/suspicious/noExplicitAny: answers are what is tested
const checkpointAt = async (step: number) => (await list()).find((each: any) => each.step_number === step);

async function download(id: string, headers: Record<string, string> = {}, method = 'GET') {
  const response = await fetch(`${bench.url}${path}/${id}/download`, {
    method,
    headers: { authorization: `Bearer ${bench.acme.key}`, ...headers },
  });
  return { response, bytes: Buffer.from(await response.arrayBuffer()) };
}

describe('checkpoints', () => {
  test('are listed when their names can be called, and with `all` the others, too', async () => {
    const { json: callable } = await bench.acme.send('GET', path);
    assert.deepEqual(
      callable.data.map((each: { step_number: number; available: boolean }) => [
        each.step_number,
        each.available,
      ]),
      [50, 40, 30, 20].map((step) => [step, true]),
    );
    const firstTwo = (await bench.acme.send('GET', `${path}?limit=2`)).json;
    assert.deepEqual([firstTwo.has_more, firstTwo.last_id], [true, callable.data[1].id]);
    const lastTwo = (await bench.acme.send('GET', `${path}?limit=2&after=${firstTwo.last_id}`)).json;
    assert.deepEqual([lastTwo.has_more, lastTwo.data], [false, callable.data.slice(2)]);

    const data = await list();
    assert.deepEqual(
      // biome-ignore lint/suspicious/noExplicitAny: answers are what is tested
      data.map((each: any) => [each.step_number, each.available, each.best, each.seconds]),
      [
        [50, true, false, null],
        [45, false, false, 1.5],
        [40, true, false, null],
        [30, true, false, null],
        [20, true, true, null],
      ],
    );
    assert.match(data[0].fine_tuned_model_checkpoint, /^ft:tiny:acme:poet:[0-9A-Za-z]{8}:ckpt-step-50$/);
    assert.deepEqual([data[0].metrics.train_loss, data[0].metrics.valid_loss], [1 / 50, 2 / 50]);
    const first = (await bench.acme.send('GET', `${path}?all=true&limit=2`)).json;
    assert.deepEqual([first.has_more, first.last_id], [true, data[1].id]);
    const rest = (await bench.acme.send('GET', `${path}?all=true&after=${first.last_id}`)).json;
    assert.deepEqual(rest.data, data.slice(2));
  });

  test('are nothing to start from: what a job needs must stay', async () => {
    const { fine_tuned_model_checkpoint: name } = await checkpointAt(20);
    const training_file = await bench.acme.upload(chatLine);
    for (const [param, body] of [
      ['model', { model: name, training_file }],
      ['start_from', { model: 'tiny', start_from: name, training_file }],
    ] as const) {
      const refused = await bench.acme.send('POST', '/v1/fine_tuning/jobs', body);
      assert.match(assertError(refused, 400, 'invalid_start', param), /is a checkpoint: promote it/);
    }
    const foreign = { model: name, training_file: await bench.other.upload(chatLine) };
    assertError(
      await bench.other.send('POST', '/v1/fine_tuning/jobs', foreign),
      400,
      'model_not_found',
      'model',
    );
  });

  test('are called as models by their team alone', async () => {
    const { fine_tuned_model_checkpoint: model, id } = await checkpointAt(20);
    const worker = await startScriptedWorker(bench.services, 'worker-ckpt', says(token('Hi'), done()));
    try {
      const body = { model, messages: [{ role: 'user', content: 'a' }] };
      const said = await bench.acme.send('POST', '/v1/chat/completions', body);
      assert.equal(said.json.choices?.[0].message.content, 'Hi', said.text);
      assert.equal(worker.requests[0].adapter.version_id, id);
      const foreign = await bench.other.send('POST', '/v1/chat/completions', body);
      assertError(foreign, 404, 'model_not_found');
      const limited = await bench.caller(bench.acme, 'member', { models: ['ft:tiny:acme:clerk:*'] });
      assertError(await limited.send('POST', '/v1/chat/completions', body), 403, 'model_not_allowed');
      const gone = { ...body, model: model.replace(/\d+$/, '10') };
      assertError(await bench.acme.send('POST', '/v1/chat/completions', gone), 404, 'model_not_found');
    } finally {
      await worker.close();
    }
  });

  test('are downloaded whole, in part, and only when they changed', async () => {
    const { id, files } = await checkpointAt(30);
    const { response, bytes } = await download(id);
    assert.equal(response.status, 200);
    assert.equal(createHash('sha256').update(bytes).digest('hex'), response.headers.get('x-content-sha256'));
    assert.match(response.headers.get('content-disposition')!, /filename="poet-step-30\.tar"/);
    assert.ok(bytes.includes('weights of step 30'));
    assert.equal(files.length, 2);
    const part = await download(id, { range: 'bytes=512-1023' });
    assert.equal(part.response.status, 206);
    assert.deepEqual(part.bytes, bytes.subarray(512, 1024));
    const etag = response.headers.get('etag')!;
    assert.equal((await download(id, { 'if-none-match': etag })).response.status, 304);
    const head = await download(id, {}, 'HEAD');
    const { headers } = head.response;
    assert.deepEqual([headers.get('content-length'), head.bytes.length], [`${bytes.length}`, 0]);
  });

  test('become versions, once', async () => {
    const { id, digest } = await checkpointAt(20);
    const answers = await Promise.all(
      [1, 2, 3].map(() => bench.acme.send('POST', `${path}/${id}/promote`, { note: 'The best.' })),
    );
    for (const { status, text } of answers) assert.equal(status, 200, text);
    const [version, ...others] = answers.map(({ json }) => json);
    for (const same of others) assert.deepEqual(same, version);
    assert.deepEqual(
      [version.adapter_name, version.version, version.note, version.digest, version.fine_tuning_job_id],
      ['poet', 1, 'The best.', digest, null],
    );
    assert.deepEqual(version.lineage.checkpoint, { id, step: 20 });
    assert.equal(version.metrics.validation_loss, 2 / 20);
    const named = await bench.acme.send('POST', `${path}/${id}/promote`, { name: 'laureate' });
    assert.deepEqual([named.json.adapter_name, named.json.version], ['laureate', 1]);
    const where = { action: 'checkpoint.promote', target: id };
    const audit = await bench.services.db.auditEntry.count({ where });
    assert.equal(audit, 2);
    assert.deepEqual(await readdir(join(bench.services.env.dataDir, 'staging')), [job.id]);

    const own = `/v1/adapters/${version.adapter_id}/versions/1`;
    assert.equal((await bench.acme.send('DELETE', own)).status, 200);
    const again = await bench.acme.send('POST', `${path}/${id}/promote`, {});
    assertError(again, 400, 'checkpoint_promoted', 'checkpoint_id');
    assert.equal((await bench.acme.send('POST', `${own}/restore`)).status, 200);
    assert.equal((await bench.acme.send('POST', `${path}/${id}/promote`, {})).json.id, version.id);
  });

  test('count towards the quota of stored bytes when they become versions', async () => {
    const { id } = await checkpointAt(40);
    const stored = async () => (await readdir(join(bench.services.env.dataDir, 'artifacts'))).length;
    const { use } = (await bench.acme.send('GET', '/v1/team/quota')).json;
    const before = [await stored(), use.stored_bytes];
    await setQuota(bench.services, bench.acme.teamId, { storedBytes: use.stored_bytes + 1 });
    const refused = await bench.acme.send('POST', `${path}/${id}/promote`, { name: 'too-much' });
    assertError(refused, 403, 'quota_exceeded');
    const now = (await bench.acme.send('GET', '/v1/team/quota')).json.use.stored_bytes;
    assert.deepEqual([await stored(), now], before);
    await setQuota(bench.services, bench.acme.teamId, { storedBytes: null });
    const made = await bench.acme.send('POST', `${path}/${id}/promote`, { name: 'too-much' });
    assert.equal(made.status, 200, made.text);
  });

  test('are deleted; the versions created from them remain', async () => {
    const { id } = await checkpointAt(40);
    const { json: version } = await bench.acme.send('POST', `${path}/${id}/promote`, { name: 'stays' });
    assert.equal((await bench.acme.send('DELETE', `${path}/${id}`)).json.deleted, true);
    assert.equal(await checkpointAt(40), undefined);
    assertError(await bench.acme.send('DELETE', `${path}/${id}`), 404, 'checkpoint_not_found');
    const kept = await fetch(bench.url + version.download_path, {
      headers: { authorization: `Bearer ${bench.acme.key}` },
    });
    assert.equal(kept.status, 200);
  });
});

test('what is not there, not kept, not allowed or not theirs', async () => {
  const { id } = await checkpointAt(50);
  const { id: state } = await checkpointAt(45);
  const ways: [string, string, object?][] = [
    ['GET', '/download'],
    ['POST', '/promote', {}],
    ['DELETE', ''],
  ];
  const viewer = await bench.caller(bench.acme, 'viewer');
  for (const [method, tail, body] of ways) {
    const ask = (caller: Caller, checkpoint: string) =>
      caller.send(method, `${path}/${checkpoint}${tail}`, body);
    assertError(await ask(bench.acme, 'ftckpt_none'), 404, 'checkpoint_not_found', 'checkpoint_id');
    assertError(await ask(bench.acme, state), 404, 'checkpoint_not_kept', 'checkpoint_id');
    const foreign = await ask(bench.other, id);
    assertError(foreign, 404, 'job_not_found');
    assert.ok(!foreign.text.includes(bench.acme.teamId));
    if (method !== 'GET') assertError(await ask(viewer, id), 403, 'insufficient_role');
  }
  // Another job of the team has no such checkpoint.
  const elsewhere = await runningJob(bench.acme, 'clerk');
  const way = `/v1/fine_tuning/jobs/${elsewhere.id}/checkpoints/${id}/download`;
  assertError(await bench.acme.send('GET', way), 404, 'checkpoint_not_found');
  const misnamed = await bench.acme.send('POST', `${path}/${id}/promote`, { name: '../x' });
  assertError(misnamed, 400, 'invalid_value', 'name');
});

test('a job that is to stop early needs something to measure', async () => {
  const training_file = await bench.acme.upload(chatLine);
  for (const training of [{ early_stopping_patience: 2 }, { load_best_model_at_end: true }]) {
    const [option] = Object.keys(training);
    const body = { model: 'tiny', training_file, training };
    const refused = await bench.acme.send('POST', '/v1/fine_tuning/jobs', body);
    assertError(refused, 400, 'invalid_training_option', `training.${option}`);
    const validation_file = await bench.acme.upload(chatLine);
    const accepted = await bench.acme.send('POST', '/v1/fine_tuning/jobs', { ...body, validation_file });
    assert.equal(accepted.status, 200, accepted.text);
  }
  const validation_file = await bench.acme.upload(chatLine);
  const late = await bench.acme.send('POST', '/v1/fine_tuning/jobs', {
    model: 'tiny',
    training_file,
    validation_file,
    training: { early_stopping_patience: 2, eval_steps: 500, n_epochs: 2 },
  });
  assertError(late, 400, 'invalid_training_option', 'training.eval_steps');
});
