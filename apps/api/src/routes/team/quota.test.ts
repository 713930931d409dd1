import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setQuota } from '@graft/service/teams';
import { openFenced } from '@graft/service/testing';
import { buildApp } from '../../app.ts';
import { assertError } from '../../testing/assert-error.ts';
import {
  type ApiBench,
  answerOf,
  type Caller,
  chatLine,
  openApiBench,
  uploadForm,
} from '../../testing/open-api-bench.ts';

let bench: ApiBench;
let operator: Caller;
before(async () => {
  bench = await openApiBench();
  operator = await bench.operator();
});
after(async () => await bench?.close());

/** A new team with a file, so that tests do not count each other's objects. */
async function teamWith(quota: object): Promise<Caller & { file: string }> {
  const name = `team-${Math.random().toString(36).slice(2, 10)}`;
  const { json } = await operator.send('POST', '/v1/admin/teams', { name });
  const caller = await bench.caller({ ...bench.acme, teamId: json.id, teamName: name }, 'member');
  const file = await caller.upload(chatLine);
  const set = await operator.send('POST', `/v1/admin/teams/${json.id}/quota`, quota);
  assert.equal(set.status, 200, set.text);
  return { ...caller, file };
}

const jobs = '/v1/fine_tuning/jobs';

test('a team has no quota until the operator sets one, and only the operator does', async () => {
  const { teamId } = bench.acme;
  const before = (await bench.acme.send('GET', '/v1/team/quota')).json;
  const { use, month_ends: ends, ...limits } = before;
  assert.deepEqual(limits, {
    object: 'team.quota',
    team_id: teamId,
    running_jobs: 8,
    queued_jobs: null,
    stored_bytes: null,
    files: null,
    adapters: null,
    exports: null,
    tokens_per_month: null,
    open_uploads: null,
    models: null,
    methods: null,
    max_rank: null,
    max_seq_length: null,
    tokens_per_job: null,
    has_budget: false,
  });
  assert.equal(use.queued_jobs, 0);
  assert.equal(new Date(ends * 1000).toISOString().slice(8, 19), '01T00:00:00');
  const path = `/v1/admin/teams/${teamId}/quota`;
  const change = {
    running_jobs: 3,
    queued_jobs: 5,
    models: ['tiny', 'ft:*'],
    methods: ['LORA'],
    max_rank: 64,
  };
  assert.equal((await operator.send('POST', path, change)).json.queued_jobs, 5);
  const budget = `/v1/admin/teams/${teamId}/budget`;
  await operator.send('POST', budget, { monthly: 9 });
  assert.equal((await bench.acme.send('GET', '/v1/team/quota')).json.has_budget, true);
  assert.equal((await bench.other.send('GET', '/v1/team/quota')).json.has_budget, false);
  await operator.send('DELETE', budget);
  const { json } = await bench.acme.send('GET', '/v1/team/quota');
  assert.deepEqual(
    [json.running_jobs, json.queued_jobs, json.models, json.methods, json.max_rank],
    [3, 5, ['tiny', 'ft:*'], ['LORA'], 64],
  );
  assert.equal((await bench.acme.send('GET', '/v1/team')).json.running_limit, 3);
  assert.equal((await bench.other.send('GET', '/v1/team/quota')).json.queued_jobs, null);
  const [auditEntry] = await bench.services.db.auditEntry.findMany({
    where: { teamId, action: 'team.quota' },
  });
  assert.deepEqual(auditEntry?.detail, {
    runningJobs: 3,
    queuedJobs: 5,
    models: ['tiny', 'ft:*'],
    methods: ['LORA'],
    maxRank: 64,
  });

  const nothing = { queued_jobs: null, models: null, methods: null, max_rank: null };
  assert.deepEqual((await operator.send('POST', path, nothing)).json.models, null);
  assertError(await bench.acme.send('POST', path, { queued_jobs: 9 }), 403, 'operator_required');
  assertError(await operator.send('GET', '/v1/team/quota'), 403, 'team_key_required');
  assertError(await operator.send('POST', path, { queued_jobs: -1 }), 400, 'invalid_value', 'queued_jobs');
  assertError(await operator.send('POST', path, { models: ['a*b*'] }), 400, 'invalid_model_limit', 'models');
  assertError(await operator.send('POST', path, { cpu: 1 }), 400, 'unknown_parameter', 'cpu');
  assertError(await operator.send('GET', '/v1/admin/teams/team-none/quota'), 404, 'team_not_found');
  assertError(
    await operator.send('POST', '/v1/admin/teams/team-none/quota', { max_rank: 1 }),
    404,
    'team_not_found',
  );
});

test('200 concurrent requests to two APIs create as many jobs as the quota allows, and cancelling one allows another', async () => {
  const team = await teamWith({ queued_jobs: 50 });
  const fenced = openFenced(bench.services);
  const second = await buildApp({ ...bench.services, ...fenced.database }, { validationSweepMs: 200 });
  const urls = [bench.url, await second.listen({ host: '127.0.0.1', port: 0 })];
  try {
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const body = JSON.stringify({ model: 'tiny', training_file: team.file });
        const headers = { authorization: `Bearer ${team.key}`, 'content-type': 'application/json' };
        for (;;) {
          const response = await fetch(urls[i % 2] + jobs, { method: 'POST', headers, body });
          // Its turn took longer than two seconds: retried, as the response says.
          if (response.status !== 503) return await answerOf(response);
          await response.arrayBuffer();
        }
      }),
    );
    const made = answers.filter(({ status }) => status === 200);
    assert.equal(made.length, 50);
    const refused = answers.filter(({ status }) => status !== 200);
    assert.deepEqual(
      new Set(refused.map(({ status, json }) => `${status} ${json.error.code}`)),
      new Set(['429 quota_exceeded']),
    );
    assert.match(refused[0]!.json.error.message, /has 50 validating, queued or paused, and 50 is the limit/);
    assert.match(refused[0]!.headers.get('retry-after')!, /^\d+$/);
    assert.equal(await bench.services.db.job.count({ where: { teamId: team.teamId } }), 50);
    assert.equal((await team.send('GET', '/v1/team/quota')).json.use.queued_jobs, 50);

    // Paused jobs count, or a team could pause its queued jobs and send more.
    await bench.untilState(made[0]!.json.id, 'queued');
    assert.equal((await team.send('POST', `${jobs}/${made[0]!.json.id}/pause`)).status, 200);
    const create = async () => await team.send('POST', jobs, { model: 'tiny', training_file: team.file });
    assertError(await create(), 429, 'quota_exceeded');
    assert.equal((await team.send('POST', `${jobs}/${made[0]!.json.id}/cancel`)).status, 200);
    assert.equal((await create()).status, 200);
    assertError(await create(), 429, 'quota_exceeded');
  } finally {
    await second.close();
    await fenced.close();
  }
});

test('an answer of an earlier create is no new job, whatever the quota', async () => {
  const team = await teamWith({ queued_jobs: 1 });
  const create = async (key: string) =>
    await team.send('POST', jobs, { model: 'tiny', training_file: team.file }, { 'idempotency-key': key });
  const first = await create('a');
  const again = await create('a');
  assert.deepEqual([again.status, again.json.id], [200, first.json.id]);
  assertError(await create('b'), 429, 'quota_exceeded');
});

test('models, methods, ranks and lengths that the team may not use are refused before the job exists', async () => {
  const team = await teamWith({ models: ['big-*'], methods: ['IA3'], max_rank: 8, max_seq_length: 32 });
  const { teamId } = team;
  const create = async (more: object) =>
    await team.send('POST', jobs, { model: 'tiny', training_file: team.file, ...more });
  assertError(await create({}), 403, 'model_not_permitted', 'model');
  await setQuota(bench.services, teamId, { models: ['ti*'] });
  assertError(await create({}), 403, 'method_not_permitted', 'peft.peft_type');
  await setQuota(bench.services, teamId, { methods: null });
  const lora = { peft_type: 'LORA', target_modules: 'all-linear' };
  assertError(await create({ peft: { ...lora, r: 16 } }), 403, 'quota_exceeded', 'peft.r');
  const pattern = { peft: { ...lora, r: 4, rank_pattern: { q_proj: 12 } } };
  const ranks = await create(pattern);
  assertError(ranks, 403, 'quota_exceeded', 'peft.r');
  assert.match(ranks.json.error.message, /asks for 12, and 8 is the limit/);
  const length = 'training.max_seq_length';
  assertError(await create({ training: { max_seq_length: 33 } }), 403, 'quota_exceeded', length);
  const fitting = await create({ training: { max_seq_length: 32 } });
  assert.equal(fitting.status, 200);
  // Values left to Graft stay within the quota, lengths too: the model's context is 64.
  const short = await team.upload('{"prompt":"a","completion":"b"}');
  const left = await create({ training_file: short });
  await bench.untilState(left.json.id, 'queued');
  const { training } = (await team.send('GET', `${jobs}/${left.json.id}`)).json;
  assert.equal(training.max_seq_length, 8);
  const asked = JSON.stringify({ prompt: 'a', completion: 'x'.repeat(40) });
  const refused = await create({ training_file: await team.upload(asked) });
  await bench.untilState(refused.json.id, 'failed');
  const { error } = (await team.send('GET', `${jobs}/${refused.json.id}`)).json;
  assert.match(error.message, /the limit \(max_seq_length\) is 32/);
  assert.deepEqual([fitting.json.peft.r, fitting.json.peft.lora_alpha], [8, 64]);
  const { default_peft } = (await team.send('GET', '/v1/fine_tuning/options')).json;
  assert.deepEqual([default_peft.r, default_peft.lora_alpha], [8, 64]);
  // Another team's quota does not apply.
  const file = await bench.other.upload(chatLine);
  assert.equal((await bench.other.send('POST', jobs, { model: 'tiny', training_file: file })).status, 200);
});

test('tokens: of one job, and of the month with what is under way', async () => {
  const team = await teamWith({ tokens_per_job: null });
  const create = async (epochs: number) =>
    (
      await team.send('POST', jobs, {
        model: 'tiny',
        training_file: team.file,
        training: { n_epochs: epochs },
      })
    ).json.id as string;
  const one = await create(1);
  await bench.untilState(one, 'queued');
  const { planned_tokens: tokens } = (await team.send('GET', '/v1/team/quota')).json.use;
  assert.ok(tokens > 0);

  await setQuota(bench.services, team.teamId, { tokensPerJob: 2 * tokens });
  await bench.untilState(await create(2), 'queued');
  const large = await create(3);
  await bench.untilState(large, 'failed');
  const { error } = (await team.send('GET', `${jobs}/${large}`)).json;
  assert.equal(error.code, 'quota_exceeded');
  assert.match(error.message, new RegExp(`is ${3 * tokens}, and ${2 * tokens} is the limit`));

  // Jobs in progress need 3 times `tokens`, so exactly one more of `tokens` fits.
  await setQuota(bench.services, team.teamId, { tokensPerJob: null, tokensPerMonth: 4 * tokens });
  await bench.untilState(await create(1), 'queued');
  const late = await create(1);
  await bench.untilState(late, 'failed');
  const jobError = (await team.send('GET', `${jobs}/${late}`)).json.error;
  assert.equal(jobError.code, 'quota_exceeded');
  assert.match(
    jobError.message,
    new RegExp(`train up to ${4 * tokens}, this job ${tokens}, .*next month begins \\d{4}-\\d\\d-01T00:00`),
  );
  // Trained tokens count to the end of their month.
  await bench.services.sql.query(
    `UPDATE jobs SET state = 'succeeded', trained_tokens = $2, finished_at = now() WHERE id = $1`,
    [one, 4 * tokens],
  );
  const over = await team.send('POST', jobs, { model: 'tiny', training_file: team.file });
  assertError(over, 429, 'quota_exceeded');
  assert.equal(over.headers.get('x-should-retry'), 'false');
  const wait = Number(over.headers.get('retry-after'));
  const { use, month_ends } = (await team.send('GET', '/v1/team/quota')).json;
  assert.deepEqual([use.trained_tokens, use.planned_tokens], [4 * tokens, 3 * tokens]);
  assert.ok(Math.abs(Date.now() / 1000 + wait - month_ends) < 60);
});

test('stored bytes: files, announced uploads and what is deleted; uploads of a team', async () => {
  const size = Buffer.byteLength(chatLine);
  const team = await teamWith({ stored_bytes: 3 * size, open_uploads: 1 });
  const file = await team.upload(chatLine);
  const announce = async (bytes: number) =>
    await team.send('POST', '/v1/uploads', {
      filename: 'a.jsonl',
      purpose: 'fine-tune',
      bytes,
      mime_type: 'text/jsonl',
    });
  const beyond = await announce(size + 1);
  assertError(beyond, 403, 'quota_exceeded');
  assert.match(beyond.json.error.message, new RegExp(`have ${2 * size}, ${size + 1} more .* ${3 * size} is`));
  const upload = await announce(size);
  assert.equal(upload.status, 200, upload.text);
  assertError(await announce(1), 429, 'too_many_uploads');
  const send = async () => await team.send('POST', '/v1/files', uploadForm(chatLine));
  assertError(await send(), 403, 'quota_exceeded');
  assert.equal((await team.send('DELETE', `/v1/files/${file}`)).status, 200);
  // One of several concurrent uploads fits.
  const both = await Promise.all([send(), send(), send()]);
  assert.deepEqual(both.map(({ status }) => status).toSorted(), [200, 403, 403]);
  const { use } = (await team.send('GET', '/v1/team/quota')).json;
  assert.deepEqual([use.stored_bytes, use.open_uploads], [3 * size, 1]);
  // The space of an announced upload is already reserved.
  const part = new FormData();
  part.set('data', new Blob([chatLine]));
  const { json } = await team.send('POST', `/v1/uploads/${upload.json.id}/parts`, part);
  const path = `/v1/uploads/${upload.json.id}/complete`;
  assert.equal((await team.send('POST', path, { part_ids: [json.id] })).status, 200);
});
