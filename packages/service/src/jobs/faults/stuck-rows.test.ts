/** One job that cannot be changed, because a frozen process holds it or its row is broken, blocks no other job. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type pg from 'pg';
import { isRowLocked } from '../../database/database-unavailable.ts';
import { deleteFile } from '../../files/file-records.ts';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam, newTestJob, type TestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { registerWorker } from '../../workers/worker-registry.ts';
import type { Job, JobState } from '../job.ts';
import { claimNextJob } from '../transitions/claim-job.ts';
import { createJob } from '../transitions/create-job.ts';
import { dispatchJobs } from '../transitions/dispatch-jobs.ts';
import { sweepExpiredLeases } from '../transitions/expiry/sweep-expired-leases.ts';
import { cancelJob } from '../transitions/user-requests.ts';
import { claimValidation } from '../transitions/validate-job.ts';

let services: Services;
let team: TestTeam;
let frozen: pg.PoolClient;
before(async () => {
  services = await openTestServices();
  await registerWorker(services, { id: 'w1', address: null, hostname: 'here', pid: 1, slots: 4 });
  await services.sql.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN IF NEW.suffix = 'broken' THEN RAISE EXCEPTION 'broken'; END IF; RETURN NEW; END $$`);
  await services.sql.query(
    'CREATE TRIGGER refuse BEFORE UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION refuse()',
  );
});
after(async () => await services.close());
beforeEach(async () => {
  team = await createTestTeam(services);
  frozen = await services.sql.connect();
  // Longer than Postgres would allow: the machine may be slow.
  await frozen.query('SET idle_in_transaction_session_timeout = 0');
  await frozen.query('BEGIN');
});
afterEach(async () => {
  frozen.release(true);
  await services.sql.query("UPDATE jobs SET suffix = NULL, state = 'cancelled' WHERE state = 'validating'");
  await services.sql.query('DELETE FROM teams');
});

async function jobs(state: JobState): Promise<[locked: Job, broken: Job, well: Job]> {
  const made = [];
  for (let i = 0; i < 3; i++) made.push(await createTestJob(services, team, state));
  const [locked, broken, well] = made as [Job, Job, Job];
  const { sql } = services;
  await sql.query("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE lease_until IS NOT NULL");
  // The trigger is disabled for this one update, and refuses all later ones.
  await sql.query('ALTER TABLE jobs DISABLE TRIGGER refuse');
  await sql.query("UPDATE jobs SET suffix = 'broken' WHERE id = $1", [broken.id]);
  await sql.query('ALTER TABLE jobs ENABLE TRIGGER refuse');
  await frozen.query('SELECT 1 FROM jobs WHERE id = $1 FOR UPDATE', [locked.id]);
  return [locked, broken, well];
}

const ids = (found: { id: string }[]) => found.map(({ id }) => id);

test('the dispatcher and the sweeper skip such a job, and report a broken one', async () => {
  for (const state of ['queued', 'running'] as const) {
    const [, broken, well] = await jobs(state);
    const faults: string[] = [];
    const onFault = ({ id }: { id: string }) => void faults.push(id);
    const changed =
      state === 'queued'
        ? await dispatchJobs(services, { onFault })
        : await sweepExpiredLeases(services, { leaseSeconds: 0, onFault });
    assert.deepEqual(ids(changed), [well.id], state);
    assert.deepEqual(faults, [broken.id], state);
    await frozen.query('ROLLBACK');
    await services.sql.query('DELETE FROM jobs');
    await frozen.query('BEGIN');
  }
});

test('so do those who look for a job to validate', async () => {
  const [, , well] = await jobs('validating');
  const claim = { workerId: 'v1', leaseSeconds: 60 };
  assert.equal((await claimValidation(services, claim))!.id, well.id);
  await assert.rejects(claimValidation(services, claim), /broken/, 'the last one left is broken');
});

test('so do workers with a free slot', async () => {
  const [, , well] = await jobs('dispatched');
  const claim = { workerId: 'w1', leaseSeconds: 60 };
  assert.equal((await claimNextJob(services, claim))!.job.id, well.id);
  await assert.rejects(claimNextJob(services, claim), /broken/, 'the last one left is broken');
});

test('a request for a locked job is refused after two seconds, and holds no connection meanwhile', async () => {
  const [locked, , well] = await jobs('queued');
  const by = { keyId: 'key-test' };
  const start = performance.now();
  const requests = Array.from({ length: 50 }, () => cancelJob(services, team.id, locked.id, by));
  let over = false;
  const outcomes = Promise.allSettled(requests).finally(() => {
    over = true;
  });
  const cancelled = await cancelJob(services, team.id, well.id, by);
  assert.equal(cancelled!.state, 'cancelled');
  assert.ok(!over, 'another job is not held up');
  assert.ok(services.sql.waitingCount === 0);
  for (const outcome of await outcomes) {
    assert.ok(outcome.status === 'rejected' && isRowLocked(outcome.reason));
  }
  assert.ok(performance.now() - start > 1900, 'the lock might have been let go');
  await frozen.query('ROLLBACK');
  assert.equal((await cancelJob(services, team.id, locked.id, by))!.state, 'cancelled');
});

test('a job is created all the same, and a repeated request waits for its twin', async () => {
  await frozen.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
    `graft:create:${team.id}:${team.keyId}:stuck`,
  ]);
  const create = (idempotencyKey: string | null) =>
    createJob(services, team.id, newTestJob(team, { idempotencyKey, requestHash: 'same' }));
  const stuck = Promise.allSettled(Array.from({ length: 20 }, () => create('stuck')));
  assert.ok((await create(null)).created);
  const twins = await Promise.all([create('free'), create('free'), create('free')]);
  assert.equal(twins.filter(({ created }) => created).length, 1);
  assert.equal(new Set(twins.map(({ job }) => job.id)).size, 1);
  for (const outcome of await stuck) assert.ok(outcome.status === 'rejected' && isRowLocked(outcome.reason));
});

test('a file that another transaction holds is deleted by one request at a time, and holds up no other', async () => {
  await frozen.query('SELECT 1 FROM files WHERE id = $1 FOR UPDATE', [team.fileId]);
  const by = { keyId: 'key-test' };
  const requests = Array.from({ length: 20 }, () => deleteFile(services, team.id, team.fileId, by));
  const outcomes = Promise.allSettled(requests);
  await services.sql.query('SELECT 1');
  assert.ok(services.sql.totalCount - services.sql.idleCount <= 3, 'connections in use');
  for (const outcome of await outcomes)
    assert.ok(outcome.status === 'rejected' && isRowLocked(outcome.reason));
  await frozen.query('ROLLBACK');
  assert.ok(await deleteFile(services, team.id, team.fileId, by));
});
