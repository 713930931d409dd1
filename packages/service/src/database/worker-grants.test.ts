// Tests of the access of a worker's Postgres login.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { GraftError } from '@graft/peft-core/config';
import pg from 'pg';
import { dispatchJobs, staleDispatched, takeBackDispatched } from '../jobs/transitions/dispatch-jobs.ts';
import { sweepExpiredLeases } from '../jobs/transitions/expiry/sweep-expired-leases.ts';
import { preemptForStarved } from '../jobs/transitions/preempt-job.ts';
import { collectDeleted } from '../maintenance/collect-deleted.ts';
import { collectLocal } from '../maintenance/collect-local.ts';
import { scrubObjects, slowScrub } from '../maintenance/job-loops.ts';
import { reportCorruption } from '../maintenance/report-corruption.ts';
import { openServices, type Services } from '../services.ts';
import { keepLog } from '../testing/keep-log.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { clearWorkerFaults, quarantineWorker, recordWorkerFault } from '../workers/worker-quarantine.ts';
import {
  findDeadLocalWorkers,
  heartbeatWorker,
  registerWorker,
  removeDeadLocalWorkers,
  removeWorker,
} from '../workers/worker-registry.ts';
import { extendLeases } from './lease-expiry.ts';
import { runExclusive } from './run-exclusive.ts';
import { insertRowsOfEveryKind } from './testing/rows-of-every-kind.ts';

const login = `graft_worker_of_${process.pid}`;
let services: Services;
let url: string;
let thief: pg.Client;

before(async () => {
  services = await openTestServices();
  await insertRowsOfEveryKind(services.sql, 'victim');
  await services.sql.query(`CREATE ROLE ${login} LOGIN PASSWORD 'secret' IN ROLE graft_worker`);
  const own = new URL(services.databaseUrl);
  Object.assign(own, { username: login, password: 'secret' });
  url = own.href;
  thief = new pg.Client({ connectionString: url });
  await thief.connect();
});
after(async () => {
  await thief.end();
  await services.sql.query(`DROP ROLE ${login}`);
  await services.close();
});

const denied = { code: '42501' };

test('reads no key, session, person, invitation or sealed secret, of no team', async () => {
  for (const table of [
    ...['api_keys', 'operator_keys', 'sessions', 'people', 'person_identities', 'memberships', 'invitations'],
    ...[
      'webhook_secrets',
      'webhook_endpoints',
      'integrations',
      'deploy_targets',
      'deploy_leftovers',
      'publishing_rules',
      'idempotency_keys',
      'team_quotas',
      'rate_counts',
    ],
  ])
    await assert.rejects(thief.query(`SELECT * FROM ${table}`), denied, table);
});

test('becomes no other role, and changes no table, policy or migration', async () => {
  for (const statement of [
    ...['graft_system', 'graft_team'].map((role) => `SET ROLE ${role}`),
    'ALTER TABLE jobs DISABLE ROW LEVEL SECURITY',
    'DROP POLICY worker_rows ON jobs',
    'CREATE TABLE mine (id INT)',
    'DELETE FROM _prisma_migrations',
    'GRANT SELECT ON api_keys TO graft_worker',
    'DELETE FROM jobs',
    'DELETE FROM usage_ledger',
    'UPDATE teams SET running_limit = 1000',
    'UPDATE files SET path = id',
    "INSERT INTO channel_keys (public_key) VALUES ('\\x00')",
    "INSERT INTO operator_keys (id, name, secret_hmac) VALUES ('op', 'mine', '\\x00')",
  ])
    await assert.rejects(thief.query(statement), denied, statement);
});

test('reads no audit row, and writes none in the name of a key, a person or an operator', async () => {
  const write = async (columns: string, values: string) =>
    await thief.query(`INSERT INTO audit_log (action, target, ${columns}) VALUES (${values})`);
  await assert.rejects(thief.query('SELECT action FROM audit_log'), denied);
  assert.deepEqual((await thief.query('SELECT id FROM audit_log WHERE id > 0')).rows, []);
  await assert.rejects(write('key_id', "'job.cancel', 'x', 'key'"), denied);
  await assert.rejects(write('system', "'team.delete', 'x', 'graft_admin'"), denied);
  await assert.rejects(write('system', "'team.delete', 'x', 'graft'"), denied);
  await write('system', "'file.corrupt', 'x', 'graft'");
});

test('writes no row of another worker', async () => {
  const info = { address: 'http://127.0.0.1:1', hostname: 'h', pid: 1, slots: 1 };
  await registerWorker(services, { ...info, id: 'other' });
  for (const secret of ['', 'mine']) {
    await thief.query(`SET graft.worker_secret = '${secret}'`);
    const forged = await thief.query("UPDATE workers SET address = 'http://127.0.0.1:9' WHERE id = 'other'");
    assert.equal(forged.rowCount, 0, secret);
  }
  const taken =
    "INSERT INTO workers (id, hostname, pid, slots, writer) SELECT 'new', 'h', 1, 1, writer FROM workers LIMIT 1";
  await assert.rejects(thief.query(taken), denied);
});

test('a worker runs by that login without a warning, and with one by the login of earlier versions', async () => {
  for (const [databaseUrl, warnings] of [
    [url, []],
    [services.databaseUrl, [/logs in to Postgres as one who may do more than workers need/]],
  ] as const) {
    const { log, lines } = keepLog();
    const worker = await openServices({ role: 'worker', log, env: { ...services.env, databaseUrl } });
    assert.equal(await worker.db.job.count(), await services.db.job.count());
    await worker.close();
    const logged = lines.filter(({ level }) => Number(level) >= 40).map(({ msg }) => String(msg));
    assert.equal(logged.length, warnings.length, logged.join());
    for (const [i, warning] of warnings.entries()) assert.match(logged[i]!, warning);
  }
});

test('what a worker does by the clock needs no more than its login may', async () => {
  const worker = await openServices({ role: 'worker', env: { ...services.env, databaseUrl: url } });
  try {
    const info = { id: 'own', address: null, hostname: 'h', pid: 1, slots: 1 };
    const lines = { leaseSeconds: 1, onFault: ({ error }: { error: unknown }) => assert.fail(String(error)) };
    await registerWorker(worker, info);
    assert.ok(await heartbeatWorker(worker, 'own', { running: 0, bases: [], load: 0, draining: false }));
    await recordWorkerFault(worker, 'own', 'of a test');
    await quarantineWorker(worker, 'own', 'of a test');
    await clearWorkerFaults(worker, 'own');
    await runExclusive(worker, 'of a test', async () => {});
    await dispatchJobs(worker, { onLease: async () => {}, onFault: lines.onFault });
    await preemptForStarved(worker, { seconds: 0 });
    await extendLeases(worker, 1);
    const { rows: held } = await worker.sql.query(
      "UPDATE jobs SET worker_id = 'gone' WHERE state = 'running' RETURNING id",
    );
    const swept = await sweepExpiredLeases(worker, { ...lines, dead: ['gone'] });
    assert.deepEqual([swept.length, held.length > 0], [held.length, true]);
    await takeBackDispatched(worker, { seconds: 0 });
    await staleDispatched(worker, { seconds: 0 });
    // These rows name no stored file; missing adapters are recorded.
    await assert.rejects(scrubObjects(worker, slowScrub), /not a file key/);
    const file = { kind: 'file', teamId: 'victim-team', id: 'victim-file-processed' } as const;
    assert.ok(await reportCorruption(worker, file, new GraftError('file_missing', 'It is gone.')));
    const { rows: noted } = await services.sql.query(
      "SELECT DISTINCT action FROM audit_log WHERE action LIKE '%.corrupt' AND system = 'graft' AND target <> 'x' ORDER BY 1",
    );
    assert.deepEqual(
      noted.map(({ action }) => action),
      ['artifact.corrupt', 'checkpoint.corrupt', 'file.corrupt'],
    );
    await collectDeleted(worker, { parts: false });
    await collectLocal(worker);
    await findDeadLocalWorkers(worker);
    await removeDeadLocalWorkers(worker, ['nobody']);
    await removeWorker(worker, 'own');
  } finally {
    await worker.close();
  }
});
