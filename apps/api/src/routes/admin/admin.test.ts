import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { registerWorker } from '@graft/service/workers';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, openApiBench } from '../../testing/open-api-bench.ts';
import { queueJob } from '../../testing/queue-job.ts';
import { runJob } from '../../testing/run-job.ts';

let bench: ApiBench;
let operator: Caller;
before(async () => {
  bench = await openApiBench();
  operator = await bench.operator();
});
after(async () => await bench?.close());

test('the operator makes a team and invites its first admin, who sees who it was', async () => {
  const made = await operator.send('POST', '/v1/admin/teams', { name: 'research', running_limit: 3 });
  assert.equal(made.status, 200, made.text);
  const team = made.json;
  assert.deepEqual((await operator.send('GET', `/v1/admin/teams/${team.id}`)).json, team);
  assertError(await operator.send('GET', '/v1/admin/teams/research'), 404, 'team_not_found');
  assertError(await operator.send('POST', '/v1/admin/teams', { name: 'research' }), 400, 'team_exists');
  assertError(await operator.send('POST', '/v1/admin/teams', { name: 'Re' }), 400, 'invalid_team_name');
  const changed = await operator.send('POST', `/v1/admin/teams/${team.id}`, { running_limit: 5 });
  assert.equal(changed.json.running_limit, 5);
  assert.equal(changed.json.weight, 1);
  const weighed = await operator.send('POST', `/v1/admin/teams/${team.id}`, { weight: 3 });
  assert.deepEqual([weighed.json.weight, weighed.json.running_limit], [3, 5]);
  for (const body of [{ weight: 0 }, { weight: 1.5 }, { weight: 1001 }])
    assertError(
      await operator.send('POST', `/v1/admin/teams/${team.id}`, body),
      400,
      'invalid_value',
      'weight',
    );
  assertError(await operator.send('POST', `/v1/admin/teams/${team.id}`, {}), 400, 'invalid_value');
  const auditEntries = await bench.services.db.auditEntry.findMany({
    where: { teamId: team.id, action: 'team.update' },
  });
  assert.deepEqual(
    auditEntries.map(({ detail }) => detail),
    [{ running_limit: 5 }, { weight: 3 }],
  );
  const newest = (await operator.send('GET', '/v1/admin/teams?limit=1')).json;
  assert.deepEqual([newest.data[0].name, newest.has_more], ['research', true]);
  const named = (await operator.send('GET', '/v1/admin/teams?name=acme')).json;
  assert.deepEqual(
    [named.data.map((each: { name: string }) => each.name), named.has_more],
    [['acme'], false],
  );
  assert.deepEqual((await operator.send('GET', '/v1/admin/teams?name=acm')).json.data, []);

  const path = `/v1/admin/teams/${team.id}/invitations`;
  const { token, role } = (await operator.send('POST', path, { email: 'lead@example.com' })).json;
  assert.equal(role, 'admin');
  const accepted = await operator.send('POST', '/v1/invitations/accept', { token });
  const lead = bench.withKey({ teamId: team.id, teamName: 'research' }, accepted.json.key);
  const { data } = (await lead.send('GET', '/v1/team/invitations')).json;
  assert.equal(data[0].created_by, operator.key.split('_').slice(1, 3).join('_'));
  const none = await operator.send('POST', '/v1/admin/teams/team-none/invitations', {});
  assertError(none, 404, 'team_not_found');

  assertError(await operator.send('DELETE', `/v1/admin/teams/${team.id}?name=x`), 400, 'wrong_team_name');
  assert.equal((await operator.send('DELETE', `/v1/admin/teams/${team.id}?name=research`)).status, 200);
  assertError(await lead.send('GET', '/v1/me'), 401, 'invalid_api_key');
  assertError(await operator.send('GET', `/v1/admin/teams/${team.id}`), 404, 'team_not_found');
});

test('people: made, listed, disabled with all their keys, enabled', async () => {
  const input = { email: 'Ada@example.com', name: 'Ada', is_operator: true };
  const { json: ada } = await operator.send('POST', '/v1/admin/people', input);
  assert.deepEqual([ada.email, ada.is_operator, ada.disabled_at], ['ada@example.com', true, null]);
  assertError(await operator.send('POST', '/v1/admin/people', input), 400, 'person_exists', 'email');
  assert.equal((await operator.send('GET', '/v1/admin/people?limit=1')).json.data[0].id, ada.id);
  const byEmail = (await operator.send('GET', '/v1/admin/people?email=ADA@example.com')).json;
  assert.deepEqual(byEmail.data, [ada]);
  assert.deepEqual((await operator.send('GET', '/v1/admin/people?email=a@example.com')).json.data, []);
  const path = `/v1/admin/people/${ada.id}`;
  assert.deepEqual((await operator.send('GET', path)).json, ada);
  assertError(await operator.send('GET', '/v1/admin/people/ada@example.com'), 404, 'person_not_found');
  assertError(await operator.send('POST', path, {}), 400, 'invalid_value');

  const body = { name: 'laptop', person_id: ada.id };
  const { key, id } = (await operator.send('POST', '/v1/admin/keys', body)).json;
  const adaKey = bench.withKey({ teamId: '', teamName: '' }, key);
  assert.equal((await adaKey.send('GET', '/v1/me')).json.person.email, 'ada@example.com');
  assert.ok((await operator.send('POST', path, { disabled: true })).json.disabled_at);
  assertError(await adaKey.send('GET', '/v1/me'), 401, 'invalid_api_key');
  await operator.send('POST', path, { disabled: false });
  assert.equal((await adaKey.send('GET', '/v1/me')).status, 200);
  assert.equal((await operator.send('GET', '/v1/admin/keys?limit=1')).json.data[0].id, id);
  assert.equal((await operator.send('DELETE', `/v1/admin/keys/${id}`)).status, 200);
  assertError(await operator.send('DELETE', `/v1/admin/keys/${id}`), 404, 'api_key_not_found');
  assertError(await adaKey.send('GET', '/v1/me'), 401, 'invalid_api_key');
  const lone = { name: 'x', person_id: 'user-none' };
  assertError(await operator.send('POST', '/v1/admin/keys', lone), 400, 'not_an_operator', 'person_id');
});

test('workers: listed, taken out of service and back, with an audit row for each', async () => {
  await registerWorker(bench.services, {
    id: 'w1',
    address: null,
    hostname: 'here',
    pid: 1,
    slots: 2,
    capabilities: {
      device: 'cpu',
      threads: 4,
      precisions: ['fp32'],
      memoryBytes: 14e9,
      flops: { fp32: 2.5e11 },
    },
  });
  await registerWorker(bench.services, {
    id: 'w2-gpu',
    address: null,
    hostname: 'there',
    pid: 1,
    slots: 2,
    capabilities: {
      device: 'gpu',
      threads: 4,
      precisions: ['bf16'],
      gpus: ['NVIDIA L4'],
      gpuFaults: ['NVIDIA L4 (GPU-1) is lost. (gpu_lost) Reset the card.'],
    },
  });
  await registerWorker(bench.services, { id: 'w0', address: null, hostname: 'here', pid: 1, slots: 2 });
  const all = (await operator.send('GET', '/v1/admin/workers')).json.data;
  const data = all.filter(({ device }: { device: string | null }) => device !== 'gpu');
  const [onGpu] = all.filter(({ device }: { device: string | null }) => device === 'gpu');
  assert.deepEqual(
    [onGpu.gpus, onGpu.gpu_faults],
    [['NVIDIA L4'], ['NVIDIA L4 (GPU-1) is lost. (gpu_lost) Reset the card.']],
  );
  assert.deepEqual([data[1].gpus, data[1].gpu_faults], [null, []]);
  assert.deepEqual([data[1].id, data[1].device, data[1].threads, data[1].slots], ['w1', 'cpu', 4, 2]);
  assert.deepEqual([data[1].memory_bytes, data[1].flops], [14e9, { fp32: 2.5e11 }]);
  assert.deepEqual([data[0].id, data[0].memory_bytes, data[0].flops], ['w0', null, null]);
  const out = await operator.send('POST', '/v1/admin/workers/w1/quarantine', { reason: 'new disk' });
  assert.equal(out.json.quarantine_reason, 'new disk');
  const back = await operator.send('POST', '/v1/admin/workers/w1/release');
  assert.deepEqual([back.json.quarantined_at, back.json.consecutive_faults], [null, 0]);
  assertError(await operator.send('POST', '/v1/admin/workers/w2/release'), 404, 'worker_not_found');
  const audit = await bench.services.db.auditEntry.findMany({
    where: { target: 'w1' },
    orderBy: { id: 'asc' },
  });
  assert.deepEqual(
    audit.map(({ action, teamId }) => [action, teamId]),
    [
      ['worker.quarantine', null],
      ['worker.release', null],
    ],
  );
});

test('a drained worker releases its jobs, and its leases show which they were', async () => {
  const { services, acme: team } = bench;
  const start = async () => await runJob(bench, await queueJob(bench, team));
  const [elsewhere, paused, held] = [await start(), await start(), await start()];
  await services.sql.query('UPDATE jobs SET pause_requested_at = now() WHERE id = $1', [paused.id]);
  await services.sql.query("UPDATE jobs SET worker_id = 'other-worker' WHERE id = $1", [elsewhere.id]);
  await registerWorker(services, {
    id: 'worker-test',
    address: null,
    hostname: 'here',
    pid: 1,
    slots: 3,
    version: '9.9.9+abc',
  });
  const path = '/v1/admin/workers/worker-test/quarantine';
  const kept = (await operator.send('POST', path, { reason: 'slow' })).json;
  assert.equal(kept.version, '9.9.9+abc');
  const lease = {
    team_id: team.teamId,
    team_name: team.teamName,
    lease_epoch: held.leaseEpoch,
    leaving: false,
  };
  const withoutTimes = (row: { since: number; until: number }) => {
    const { since, until, ...rest } = row;
    assert.ok(until > since);
    return rest;
  };
  assert.deepEqual(kept.leases.map(withoutTimes), [{ ...lease, lease_epoch: paused.leaseEpoch }, lease]);
  const drained = (await operator.send('POST', path, { reason: 'slow', drain: true })).json;
  const leaving = drained.leases.map((row: { leaving: boolean }) => row.leaving).toSorted();
  // The pausing job leaves anyway, at its team's request.
  assert.deepEqual(leaving, [false, true]);
  const asked = await services.db.job.findMany({ where: { preemptRequestedAt: { not: null } } });
  assert.deepEqual(
    asked.map(({ id }) => id),
    [held.id],
  );
  const event = await services.db.jobEvent.findFirst({
    where: { jobId: held.id, message: { startsWith: 'Moving at the next checkpoint' } },
  });
  assert.deepEqual(event!.data, { kind: 'preemption', worker: 'worker-test', step: 0 });
  assertError(
    await operator.send('POST', path, { reason: 'x', drain: 'yes' }),
    400,
    'invalid_value',
    'drain',
  );
});

test('the queue shows how many jobs of each team wait, the next team first, but no job', async () => {
  const { services } = bench;
  await services.sql.query('DELETE FROM jobs');
  await services.sql.query('DELETE FROM workers');
  assert.deepEqual((await operator.send('GET', '/v1/admin/queue')).json.teams, []);
  const { acme: busy, other: idle } = bench;
  await runJob(bench, await queueJob(bench, busy));
  const paused = await queueJob(bench, busy);
  assert.equal((await busy.send('POST', `/v1/fine_tuning/jobs/${paused}/pause`)).status, 200);
  await queueJob(bench, busy);
  await queueJob(bench, idle);
  const { json, text } = await operator.send('GET', '/v1/admin/queue');
  assert.equal(json.slots, 1000);
  const counts = { validating: 0, queued: 1, dispatched: 0, running: 0, paused: 0 };
  const settings = { object: 'queue.team', weight: 1, running_limit: 1000 };
  const [first, second] = json.teams;
  assert.ok(Math.abs(first.waiting_since - Date.now() / 1000) < 30);
  const { waiting_since: _, ...of } = first;
  assert.deepEqual(of, { ...settings, ...counts, id: idle.teamId, name: idle.teamName, ahead: 0 });
  assert.deepEqual([second.id, second.running, second.queued, second.paused], [busy.teamId, 1, 1, 1]);
  // Its running job is charged one minute at the start.
  assert.ok(second.ahead > 0.9 && second.ahead < 3, `${second.ahead}`);
  assert.doesNotMatch(text, /ftjob/);
  assertError(await bench.acme.send('GET', '/v1/admin/queue'), 403, 'operator_required');
});

test('the service shows its versions, and that its dependencies respond', async () => {
  const { services } = bench;
  await services.sql.query('DELETE FROM workers');
  const add = async (id: string, set: string, version = '1.0.0') => {
    const worker = { id, address: null, hostname: 'here', pid: 1, slots: 1, version };
    await registerWorker(services, worker);
    await services.sql.query(`UPDATE workers SET ${set} WHERE id = $1`, [id]);
  };
  await add('new', 'draining = false');
  await add('old', 'draining = true, version = NULL');
  await add('broken', "draining = true, quarantined_at = now(), quarantine_reason = 'x'");
  await add('gone', "heartbeat_at = now() - interval '2 minutes'", '0.9.0');
  const { json } = await operator.send('GET', '/v1/admin/service');
  const counts = { ready: 1, draining: 1, quarantined: 1, silent: 1 };
  const protocols = { other_protocol: 0, unknown_protocol: 0 };
  assert.deepEqual(json.workers, { ...counts, versions: ['1.0.0', null], ...protocols });
  const serving = "address = 'http://here'";
  await services.sql.query(`UPDATE workers SET ${serving}, protocol = 1 WHERE id = 'new'`);
  await services.sql.query(`UPDATE workers SET ${serving}, protocol = 2 WHERE id = 'broken'`);
  await services.sql.query(`UPDATE workers SET ${serving} WHERE id = 'old'`);
  const again = (await operator.send('GET', '/v1/admin/service')).json.workers;
  assert.deepEqual([again.other_protocol, again.unknown_protocol], [1, 1]);
  const listed = (await operator.send('GET', '/v1/admin/workers')).json.data;
  const protocolsOf = Object.fromEntries(
    listed.map(({ id, protocol }: { id: string; protocol: number | null }) => [id, protocol]),
  );
  assert.deepEqual(protocolsOf, { new: 1, broken: 2, old: null, gone: null });
  assert.match(json.version, /^\d+\.\d+\.\d+(\+[0-9a-f]{12})?$/);
  assert.deepEqual([json.database.state, json.queue.state, json.storage], ['ok', 'ok', 'folder']);
  assert.match(json.database.version, /^\d+/);
  assert.match(json.database.migration, /^\d{14}_/);
  assert.equal(json.node, process.version);
  assertError(await bench.acme.send('GET', '/v1/admin/service'), 403, 'operator_required');
});

test('the audit log is checked page by page by the operator alone, and a changed entry is named', async () => {
  const chains = (await operator.send('GET', '/v1/admin/audit/chains?limit=1')).json;
  assert.deepEqual([chains.data[0].id, chains.has_more], ['installation', true]);
  const rest = (await operator.send('GET', `/v1/admin/audit/chains?after=${chains.last_id}`)).json;
  const { teamId } = bench.acme;
  const { sequence, hash } = rest.data.find(({ id }: { id: string }) => id === teamId);
  const check = (query: string) => operator.send('GET', `/v1/admin/audit/chains/${teamId}/check?${query}`);
  const first = (await check('limit=1')).json;
  assert.deepEqual([first.last_sequence, first.done, first.fault], [1, false, null]);
  const last = (await check(`after=${first.last_sequence}`)).json;
  assert.deepEqual([last.last_sequence, last.last_hash, last.done], [sequence, hash, true]);
  assertError(await bench.acme.send('GET', '/v1/admin/audit/chains'), 403, 'operator_required');
  assertError(await check('after=-1'), 400, 'invalid_value', 'after');
  await bench.services.sql.query(
    `ALTER TABLE audit_log DISABLE TRIGGER USER;
     UPDATE audit_log SET action = 'forged' WHERE team_id = '${teamId}' AND sequence = 2;
     ALTER TABLE audit_log ENABLE TRIGGER USER`,
  );
  const { fault } = (await check('')).json;
  assert.deepEqual([fault.sequence, fault.reason], [2, 'changed']);
});
