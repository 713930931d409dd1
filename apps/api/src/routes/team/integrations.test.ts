import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertError } from '../../testing/assert-error.ts';
import { type JobRequests, jobRequests } from '../../testing/job-requests.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../../testing/open-api-bench.ts';

const canary = 'canary-of-an-integration-42';
let bench: ApiBench;
let admin: Caller;
let otherAdmin: Caller;
let create: JobRequests['create'];
let refuses: JobRequests['refuses'];
before(async () => {
  bench = await openApiBench({}, { GRAFT_INTEGRATION_ALLOW: '10.1.0.0/16,mlflow.internal' });
  admin = await bench.caller(bench.acme, 'admin');
  otherAdmin = await bench.caller(bench.other, 'admin');
  ({ create, refuses } = jobRequests(bench, await bench.acme.upload(chatLine)));
});
after(async () => await bench?.close());

const path = '/v1/integrations';

test('an admin sets up a service; members see where it is, and nobody its secret', async () => {
  const { acme, other } = bench;
  const made = await admin.send('POST', `${path}/wandb`, { secret: canary });
  assert.equal(made.status, 200, made.text);
  assert.match(made.json.id, /^intg-/);
  assert.deepEqual([made.json.type, made.json.url], ['wandb', 'https://api.wandb.ai']);
  assert.deepEqual([made.json.username, made.json.has_secret], [null, true]);
  const url = 'http://mlflow.internal:5000/base/';
  const mlflow = await admin.send('POST', `${path}/mlflow`, { url, username: 'ada', secret: canary });
  assert.deepEqual([mlflow.json.url, mlflow.json.username], ['http://mlflow.internal:5000/base', 'ada']);

  const list = await acme.send('GET', path);
  assert.deepEqual(
    list.json.data.map(({ type }: { type: string }) => type),
    ['mlflow', 'wandb'],
  );
  assert.deepEqual((await acme.send('GET', `${path}/wandb`)).json, made.json);
  assert.deepEqual((await other.send('GET', path)).json.data, []);
  assertError(await other.send('GET', `${path}/wandb`), 404, 'integration_not_found', 'type');
  assertError(await otherAdmin.send('DELETE', `${path}/wandb`), 404, 'integration_not_found', 'type');
  assertError(await acme.send('POST', `${path}/wandb`, { secret: 'x' }), 403, 'insufficient_role');
  assertError(await acme.send('DELETE', `${path}/wandb`), 403, 'insufficient_role');
  const reads = await bench.caller(acme, 'admin', { scopes: ['integrations:read'] });
  assertError(await reads.send('POST', `${path}/wandb`, { secret: 'x' }), 403, 'insufficient_scope');
  for (const answer of [made, mlflow, list]) assert.ok(!answer.text.includes(canary));

  // The key is neither in the database nor in the audit log.
  const { rows } = await bench.services.sql.query(
    `SELECT (SELECT string_agg(i::text, '') FROM integrations i) AS rows,
            (SELECT string_agg(a::text, '') FROM audit_log a WHERE action LIKE 'integration.%') AS audit`,
  );
  assert.ok(!rows[0].rows.includes(canary) && !rows[0].rows.includes(Buffer.from(canary).toString('hex')));
  assert.match(rows[0].audit, /integration\.set.*api\.wandb\.ai/);
  assert.ok(!rows[0].audit.includes(canary));
});

test('a secret stays with its server, and what cannot be is refused', async () => {
  const set = async (type: string, body: object) => await admin.send('POST', `${path}/${type}`, body);
  const moved = await set('mlflow', { url: 'https://mlflow.example.com' });
  assertError(moved, 400, 'invalid_integration', 'secret');
  assert.equal((await set('mlflow', { url: 'http://mlflow.internal:5000/other' })).json.has_secret, true);
  const open = await set('mlflow', { url: 'https://mlflow.example.com', username: null, secret: null });
  assert.deepEqual([open.json.has_secret, open.json.username], [false, null]);

  const refused: [string, object, string][] = [
    ['mlflow', { username: 'ada' }, 'secret'],
    ['wandb', { secret: null }, 'secret'],
    ['wandb', { username: 'ada' }, 'username'],
    ['trackio', { secret: 'x' }, 'url'],
    ['trackio', { url: 'https://trackio.example.com' }, 'secret'],
    ['trackio', { url: 'https://trackio.example.com/?write_token=x', secret: 'x' }, 'url'],
    ['trackio', { url: 'https://u:p@trackio.example.com', secret: 'x' }, 'url'],
    ['trackio', { url: 'http://127.0.0.1', secret: 'x' }, 'url'],
    ['trackio', { url: 'http://169.254.169.254/latest', secret: 'x' }, 'url'],
    ['trackio', { url: 'https://[::1]', secret: 'x' }, 'url'],
    ['trackio', { url: 'ftp://trackio.example.com', secret: 'x' }, 'url'],
    ['trackio', { url: 'https://localhost', secret: 'x' }, 'url'],
  ];
  for (const [type, body, param] of refused)
    assertError(await set(type, body), 400, 'invalid_integration', param);
  assert.equal((await set('trackio', { url: 'http://10.1.2.3:7860', secret: 'x' })).status, 200);
  assertError(await set('comet', { secret: 'x' }), 404, 'integration_not_found', 'type');
  assertError(await set('wandb', { secret: 'with space' }), 400, 'invalid_value', 'secret');
  assertError(await set('wandb', { token: 'x' }), 400, 'unknown_parameter', 'token');
});

test('jobs name integrations that the team has, each once, in OpenAI’s shape', async () => {
  const wandb = { type: 'wandb', wandb: { project: 'p', name: null, entity: 'me', tags: ['a'] } };
  const mlflow = { type: 'mlflow', mlflow: { experiment: 'an experiment', tags: { a: 'b' } } };
  const answer = await create({ integrations: [wandb, mlflow] });
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(answer.json.integrations, [wandb, mlflow]);
  const clone = await bench.acme.send('POST', `/v1/fine_tuning/jobs/${answer.json.id}/clone`, {});
  assert.deepEqual(clone.json.integrations, [wandb, mlflow]);
  const without = await bench.acme.send('POST', `/v1/fine_tuning/jobs/${answer.json.id}/clone`, {
    integrations: [],
  });
  assert.deepEqual(without.json.integrations, []);

  await refuses({ integrations: [wandb, wandb] }, 'invalid_value', 'integrations');
  await admin.send('DELETE', `${path}/mlflow`);
  await refuses({ integrations: [mlflow] }, 'integration_not_found', 'integrations[0].type');
  const training_file = await bench.other.upload(chatLine);
  const theirs = { model: 'tiny', training_file, integrations: [wandb] };
  assertError(await bench.other.send('POST', '/v1/fine_tuning/jobs', theirs), 400, 'integration_not_found');
  for (const bad of [
    {},
    { type: 'comet', comet: {} },
    { type: 'wandb' },
    { type: 'wandb', wandb: {} },
    { type: 'wandb', wandb: { project: 'a/b' } },
    { type: 'wandb', wandb: { project: 'p', entity: '../../x' } },
    { type: 'wandb', mlflow: { experiment: 'e' } },
    { type: 'wandb', wandb: { project: 'p', api_key: 'k' } },
  ])
    assert.equal((await create({ integrations: [bad] })).status, 400, JSON.stringify(bad));
});
