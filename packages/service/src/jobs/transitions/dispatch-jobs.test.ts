import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam, type TestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { heartbeatWorker, registerWorker } from '../../workers/worker-registry.ts';
import { type Job, leaseOf } from '../job.ts';
import { getJob } from '../records/read-jobs.ts';
import { createQueuePlaces } from '../turns/queue-positions.ts';
import { claimJob } from './claim-job.ts';
import { dispatchJobs, takeBackDispatched } from './dispatch-jobs.ts';
import { releaseJob } from './stop-running-job.ts';

let services: Services;
beforeEach(async () => {
  services ??= await openTestServices();
  await services.sql.query('DELETE FROM teams');
  await services.sql.query('DELETE FROM workers');
});
after(async () => await services.close());

async function addWorker(id: string, slots: number): Promise<void> {
  await registerWorker(services, { id, address: null, hostname: 'here', pid: 1, slots });
}

async function queue(team: TestTeam, count: number): Promise<Job[]> {
  const jobs = [];
  for (let i = 0; i < count; i++) jobs.push(await createTestJob(services, team, 'queued'));
  return jobs;
}

const ids = (jobs: { id: string }[]) => jobs.map(({ id }) => id);

test('the teams take turns, each in the order of its jobs, until two are out per slot', async () => {
  const [one, two] = [await createTestTeam(services), await createTestTeam(services)];
  const [a, b] = [await queue(one, 4), await queue(two, 2)];
  await addWorker('w1', 2);
  const expected = [a[0], b[0], a[1], b[1]] as Job[];
  const before = await createQueuePlaces(services)(ids([...a, ...b]));
  assert.deepEqual(
    expected.map(({ id }) => before.get(id)?.position),
    [1, 2, 3, 4],
  );
  const leases = await dispatchJobs(services);
  assert.deepEqual(ids(leases), ids(expected));
  assert.deepEqual(await dispatchJobs(services), [], 'no more than that');
  const dispatched = await getJob(services, one.id, a[0]!.id);
  assert.deepEqual([dispatched!.state, dispatched!.leaseEpoch], ['dispatched', a[0]!.leaseEpoch + 1]);
  assert.deepEqual([leases[0]!.epoch, dispatched!.workerId], [a[0]!.leaseEpoch + 1, null]);
  const after = await createQueuePlaces(services)(ids([a[0]!, a[2]!]));
  assert.deepEqual([...after], [[a[2]!.id, { position: 1, start: null }]], 'the first no longer waits');
});

test('a team that has jobs at work waits for one that has none, however late it came', async () => {
  const [early, late] = [await createTestTeam(services), await createTestTeam(services)];
  await addWorker('w1', 1);
  await queue(early, 3);
  const first = await dispatchJobs(services);
  assert.equal(first.length, 2);
  assert.ok(await claimJob(services, first[0]!, { workerId: 'w1', leaseSeconds: 60 }));
  const [job] = await queue(late, 1);
  await addWorker('w2', 1);
  assert.equal((await dispatchJobs(services))[0]!.id, job!.id);
});

test("a team's running limit holds, running jobs included", async () => {
  const [small, big] = [await createTestTeam(services, 2), await createTestTeam(services)];
  await addWorker('w1', 4);
  const [a] = [await queue(small, 4), await queue(big, 1)];
  const leases = await dispatchJobs(services);
  assert.equal(leases.length, 3);
  const running = await claimJob(services, leases[0]!, { workerId: 'w1', leaseSeconds: 60 });
  assert.deepEqual(await dispatchJobs(services), []);
  await releaseJob(services, leaseOf(running!));
  const next = await dispatchJobs(services);
  assert.deepEqual(ids(next), ids([a[0]!]));
});

test('without a living worker that takes work nothing is dispatched', async () => {
  const team = await createTestTeam(services);
  await queue(team, 1);
  assert.deepEqual(await dispatchJobs(services), []);
  await addWorker('w1', 1);
  await heartbeatWorker(services, 'w1', { running: 0, bases: [], load: 0, draining: true });
  assert.deepEqual(await dispatchJobs(services), [], 'draining');
  await heartbeatWorker(services, 'w1', { running: 0, bases: [], load: 0, draining: false });
  await services.sql.query("UPDATE workers SET heartbeat_at = now() - interval '2 minutes'");
  assert.deepEqual(await dispatchJobs(services), [], 'silent');
  await heartbeatWorker(services, 'w1', { running: 0, bases: [], load: 0, draining: false });
  assert.equal((await dispatchJobs(services)).length, 1);
});

test('a job that is to wait waits', async () => {
  const team = await createTestTeam(services);
  const [job] = await queue(team, 1);
  await addWorker('w1', 1);
  await services.sql.query("UPDATE jobs SET run_after = now() + interval '1 hour' WHERE id = $1", [job!.id]);
  assert.deepEqual(await dispatchJobs(services), []);
  await services.sql.query('UPDATE jobs SET run_after = now() WHERE id = $1', [job!.id]);
  assert.equal((await dispatchJobs(services)).length, 1);
});

test('dispatchers at the same moment never give out one job twice', async () => {
  const team = await createTestTeam(services, 100);
  await queue(team, 12);
  await addWorker('w1', 6);
  const rounds = await Promise.all([1, 2, 3, 4].map(() => dispatchJobs(services)));
  // The next pass dispatches what each dispatcher left to the others.
  const all = ids([...rounds.flat(), ...(await dispatchJobs(services))]);
  assert.equal(new Set(all).size, all.length);
  assert.equal(all.length, 12);
});

test('positions are read once a second, and immediately for a job that started to wait since', async () => {
  const team = await createTestTeam(services);
  const positions = createQueuePlaces(services);
  const [first] = await queue(team, 1);
  const alone = [[first!.id, { position: 1, start: null }]];
  assert.deepEqual([...(await positions([first!.id]))], alone);
  await services.sql.query("UPDATE jobs SET created_at = created_at - interval '1 hour' WHERE id <> $1", [
    first!.id,
  ]);
  const [second] = await queue(team, 1);
  await services.sql.query("UPDATE jobs SET created_at = created_at - interval '1 hour' WHERE id = $1", [
    second!.id,
  ]);
  assert.deepEqual([...(await positions([first!.id]))], alone, 'as it was');
  await sleep(300);
  const both = await positions([first!.id, second!.id]);
  assert.deepEqual([both.get(first!.id)?.position, both.get(second!.id)?.position], [2, 1]);
});

test('dispatchers at the same moment keep to the limit of a team: one at a time is at each', async () => {
  const [team, other] = [await createTestTeam(services, 3), await createTestTeam(services)];
  await queue(team, 8);
  const [theirs] = await queue(other, 1);
  await addWorker('w1', 8);
  // Another dispatcher, in the middle of its transaction.
  const dispatcher = await services.sql.connect();
  await dispatcher.query('BEGIN');
  await dispatcher.query('SELECT 1 FROM teams WHERE id = $1 FOR NO KEY UPDATE', [team.id]);
  let queries = 0;
  const count = () => void queries++;
  services.sql.on('acquire', count);
  assert.deepEqual(ids(await dispatchJobs(services)), [theirs!.id]);
  services.sql.off('acquire', count);
  assert.ok(queries <= 6, `its ${queries} queries try the locked team once, not for each of its jobs`);
  await dispatcher.query('ROLLBACK');
  dispatcher.release();
  const rounds = await Promise.all([1, 2, 3, 4].map(() => dispatchJobs(services)));
  assert.equal([...rounds.flat(), ...(await dispatchJobs(services))].length, 3);
});

test('jobs whose only worker is gone before it claimed them leave their room to others', async () => {
  const [theirs, ours] = [await createTestTeam(services), await createTestTeam(services)];
  const big = { device: 'cpu', threads: 64, precisions: ['fp32'] } as const;
  const small = { ...big, threads: 2, precisions: ['fp32'] as ['fp32'] } as const;
  const here = { address: null, hostname: 'here', pid: 1, slots: 1 };
  await registerWorker(services, { ...here, id: 'big', capabilities: { ...big, precisions: ['fp32'] } });
  const large = await queue(theirs, 2);
  await services.sql.query(
    `UPDATE jobs SET requirements = '{"device":"cpu","threads":64,"precision":"fp32"}' WHERE team_id = $1`,
    [theirs.id],
  );
  assert.equal((await dispatchJobs(services)).length, 2);
  await services.sql.query("UPDATE jobs SET dispatched_at = now() - interval '1 minute'");
  assert.deepEqual(await takeBackDispatched(services, { seconds: 15 }), [], 'the worker lives');

  await services.sql.query('DELETE FROM workers');
  await registerWorker(services, { ...here, id: 'small', capabilities: small });
  const [other] = await queue(ours, 1);
  assert.deepEqual(await dispatchJobs(services), [], 'no room');
  assert.deepEqual(await takeBackDispatched(services, { seconds: 120 }), [], 'it may come back yet');
  const back = await takeBackDispatched(services, { seconds: 15 });
  assert.deepEqual(back.sort(), ids(large).sort());
  assert.deepEqual(ids(await dispatchJobs(services)), [other!.id]);
});

test('places are read by one query at a time, and stay as they were while Postgres is too busy to number them', async () => {
  const team = await createTestTeam(services);
  const positions = createQueuePlaces(services);
  const [job] = await queue(team, 1);
  const known = [[job!.id, { position: 1, start: null }]];
  assert.deepEqual([...(await positions([job!.id]))], known);
  const lock = await services.sql.connect();
  // Disables Postgres' timeout, since the machine may be slow.
  await lock.query('SET idle_in_transaction_session_timeout = 0');
  await lock.query('BEGIN; LOCK TABLE workers IN ACCESS EXCLUSIVE MODE');
  try {
    const asked: ReturnType<typeof positions>[] = [];
    // Longer than places are fresh, and shorter than Postgres waits for a lock.
    for (let i = 0; i < 3; i++) {
      await sleep(i === 0 ? 1100 : 300);
      for (let j = 0; j < 10; j++) asked.push(positions([job!.id]));
    }
    const { rows } = await services.sql.query(
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    assert.equal(rows[0].n, 1);
    for (const places of await Promise.all(asked)) assert.deepEqual([...places], known);
  } finally {
    lock.release(true);
  }
});
