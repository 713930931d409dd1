/** Checks the documented figures of fair shares on real rows: jobs are claimed and ended without training. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { ResolvedTraining } from '@graft/peft-core/config';
import type { Dispatch } from '../../queue/job-queue.ts';
import type { Services } from '../../services.ts';
import { updateTeam } from '../../teams/team-records.ts';
import { createTestJob, createTestTeam, type TestTeam, userFault } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { registerWorker } from '../../workers/worker-registry.ts';
import { type Job, type JobState, leaseOf } from '../job.ts';
import { getJob } from '../records/read-jobs.ts';
import { claimJob } from '../transitions/claim-job.ts';
import { dispatchJobs, firstDispatched } from '../transitions/dispatch-jobs.ts';
import { failJob } from '../transitions/fail-job.ts';
import { setJobPriority } from '../transitions/user-requests.ts';
import { claimValidation, finishValidation } from '../transitions/validate-job.ts';
import { createQueuePlaces } from './queue-positions.ts';

let services: Services;
before(async () => {
  services = await openTestServices();
});
beforeEach(async () => {
  await services.sql.query('DELETE FROM teams');
  await services.sql.query('DELETE FROM workers');
});
after(async () => await services?.close());

/** Inserts `count` identical jobs, a millisecond apart, the last of them now. */
async function fill(team: TestTeam, count: number, state: JobState): Promise<void> {
  const model = await createTestJob(services, team, 'validating');
  const columns = ['model', 'seed', 'training_file_id', 'hyperparameters', 'peft', 'training'].join(', ');
  await services.sql.query(
    `INSERT INTO jobs (id, team_id, key_id, state, resolved_training, created_at, ${columns})
     SELECT id || '-' || n, team_id, key_id, $3, '{"n_epochs":3}', now() - ($2 - n) * interval '1 millisecond', ${columns}
     FROM jobs, generate_series(1, $2::int) AS n WHERE id = $1`,
    [model.id, count, state],
  );
  await services.sql.query('DELETE FROM jobs WHERE id = $1', [model.id]);
  await services.sql.query('ANALYZE jobs');
}

async function addWorker(slots: number): Promise<void> {
  await registerWorker(services, { id: 'w1', address: null, hostname: 'here', pid: 1, slots });
}

/** A worker's slots, each of which claims the job whose turn it is. */
class Slots {
  readonly running: Job[] = [];
  /** In the order in which they started. */
  readonly begun: Job[] = [];

  async fill(count: number): Promise<void> {
    while (this.running.length < count) {
      const next = await firstDispatched(services, { id: 'w1', capabilities: null });
      const job = next && (await claimJob(services, next, { workerId: 'w1', leaseSeconds: 600 }));
      if (!job) return;
      this.running.push(job);
      this.begun.push(job);
    }
  }

  /** Ends the job that started first, and keeps the worker live, however slow the machine is. */
  async release(): Promise<void> {
    await services.sql.query('UPDATE workers SET heartbeat_at = now()');
    await failJob(services, leaseOf(this.running.shift()!), userFault);
  }
}

/** Dispatches and runs jobs until this number has been dispatched; returns their teams in that order. */
async function runQueue(slots: number, dispatches: number): Promise<string[]> {
  const running = new Slots();
  const teams = new Map<string, string>();
  const leases: Dispatch[] = [];
  const rows = await services.db.job.findMany({ select: { id: true, teamId: true } });
  for (const { id, teamId } of rows) teams.set(id, teamId);
  while (leases.length < dispatches) {
    leases.push(...(await dispatchJobs(services)));
    await running.fill(slots);
    await running.release();
  }
  return leases.slice(0, dispatches).map(({ id }) => teams.get(id)!);
}

const countOf = (ids: string[], id: string) => ids.filter((other) => other === id).length;

/** Jain's fairness index: 1 if all shares are equal, 1 / n if one team has everything. */
function jain(shares: number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  return sum ** 2 / (shares.length * shares.reduce((total, share) => total + share ** 2, 0));
}

for (const slots of [1, 3]) {
  test(`five teams share ${slots} slots alike, whichever came first and however many jobs each has`, async (t) => {
    const teams = [];
    for (let i = 0; i < 5; i++) {
      const team = await createTestTeam(services);
      await fill(team, i === 0 ? 500 : 100, 'queued');
      teams.push(team);
    }
    await addWorker(slots);
    const dispatched = await runQueue(slots, 200);
    const shares = teams.map(({ id }) => countOf(dispatched, id));
    t.diagnostic(`Jain's index ${jain(shares).toFixed(4)} of ${shares}`);
    assert.ok(jain(shares) >= 0.95, `Jain's index ${jain(shares)} of ${shares}`);
    assert.ok(Math.min(...shares) >= 39, `${shares}`);
  });

  test(`weights of 1 and 3 on ${slots} slots are a quarter and three quarters`, async (t) => {
    const [one, three] = [await createTestTeam(services), await createTestTeam(services)];
    await updateTeam(services, three.id, { weight: 3 });
    await fill(one, 200, 'queued');
    await fill(three, 200, 'queued');
    await addWorker(slots);
    const dispatched = await runQueue(slots, 200);
    const share = countOf(dispatched, three.id) / dispatched.length;
    t.diagnostic(`${share} of 200 to weight 3`);
    assert.ok(Math.abs(share - 0.75) <= 0.05 * 0.75, `${share}`);
  });
}

test('behind 5,000 files of another team the first is validated within five seconds', async (t) => {
  const [big, small] = [await createTestTeam(services), await createTestTeam(services)];
  await fill(big, 5000, 'validating');
  const claim = async () => {
    const job = await claimValidation(services, { workerId: 'v1', leaseSeconds: 60 });
    return job!;
  };
  const finish = async (job: Job) =>
    await finishValidation(services, leaseOf(job), {
      ok: true,
      resolvedTraining: { n_epochs: 3 } as ResolvedTraining,
    });
  for (let i = 0; i < 5; i++) await finish(await claim());
  await fill(small, 10, 'validating');
  const came = performance.now();
  const order: string[] = [];
  for (let i = 0; i < 20; i++) {
    const job = await claim();
    await finish(job);
    order.push(job.teamId);
    if (job.teamId === small.id && countOf(order, small.id) === 1) {
      assert.equal(order.length, 1, 'it is the very next');
      t.diagnostic(`${(performance.now() - came).toFixed()} ms`);
    }
  }
  assert.deepEqual([countOf(order, small.id), countOf(order, big.id)], [10, 10]);
});

for (const slots of [1, 4]) {
  test(`behind 5,000 jobs of another team the first starts within two releases of ${slots} slots`, async (t) => {
    const [big, small] = [await createTestTeam(services, 1000), await createTestTeam(services)];
    await fill(big, 5000, 'queued');
    await addWorker(slots);
    const running = new Slots();
    await dispatchJobs(services);
    await running.fill(slots);
    await dispatchJobs(services);
    await fill(small, 10, 'queued');
    await dispatchJobs(services);
    const before = running.begun.length;
    for (let release = 0; release < 20; release++) {
      await running.release();
      // A worker claims immediately; the dispatcher runs afterwards.
      await running.fill(slots);
      await dispatchJobs(services);
    }
    const after = running.begun
      .slice(before)
      .flatMap(({ teamId }, i) => (teamId === small.id ? [i + 1] : []));
    t.diagnostic(`the small team's ten began after releases ${after}`);
    assert.ok(after[0]! <= 2, `${after}`);
    assert.ok(after.length >= 9, `half of twenty: ${after}`);
  });
}

test('a free slot is filled well within a second, and by the index, with 10,000 jobs waiting', async (t) => {
  const teams = [];
  for (let i = 0; i < 5; i++) {
    const team = await createTestTeam(services, 1000);
    await fill(team, 2000, 'queued');
    teams.push(team);
  }
  await addWorker(2);
  const running = new Slots();
  await dispatchJobs(services);
  const took: number[] = [];
  for (let i = 0; i < 100; i++) {
    await running.fill(2);
    const from = performance.now();
    await running.release();
    await running.fill(2);
    await dispatchJobs(services);
    took.push(performance.now() - from);
  }
  took.sort((a, b) => a - b);
  t.diagnostic(`p50 ${took[49]!.toFixed()} ms, p99 ${took[98]!.toFixed()} ms`);
  const { rows } = await services.sql.query<{ 'QUERY PLAN': string }>(
    `EXPLAIN SELECT id FROM jobs WHERE team_id = $1 AND state = 'queued' AND run_after <= now()
     ORDER BY ((created_at AT TIME ZONE 'UTC') - priority * interval '24 hours'), id LIMIT 1`,
    [teams[0]!.id],
  );
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
  assert.match(plan, /Index Scan using jobs_live_idx/);
  assert.doesNotMatch(plan, /Sort/);
  const places = await createQueuePlaces(services)(['none']);
  assert.equal(places.size, 0);
});

test('within a team high goes before normal and low behind, and a job rises as it waits', async () => {
  const team = await createTestTeam(services);
  const jobs: Record<string, string> = {};
  for (const [name, priority, days] of [
    ['low', 'low', 0],
    ['low, two days old', 'low', 2.1],
    ['normal', 'normal', 0],
    ['high', 'high', 0],
  ] as const) {
    const { id } = await createTestJob(services, team, 'queued', { priority });
    await services.sql.query(
      "UPDATE jobs SET created_at = created_at - $2 * interval '24 hours' WHERE id = $1",
      [id, days],
    );
    jobs[id] = name;
  }
  const order = async () => {
    const places = await createQueuePlaces(services)(Object.keys(jobs));
    return [...places].sort(([, a], [, b]) => a.position - b.position).map(([id]) => jobs[id]);
  };
  assert.deepEqual(await order(), ['low, two days old', 'high', 'normal', 'low']);
  const low = Object.keys(jobs)[0]!;
  const by = { keyId: team.keyId };
  assert.equal(await setJobPriority(services, (await createTestTeam(services)).id, low, 'high', by), null);
  await setJobPriority(services, team.id, low, 'high', by);
  assert.deepEqual(
    await order(),
    ['low, two days old', 'low', 'high', 'normal'],
    'as it was created before it',
  );
  await addWorker(2);
  const dispatched = await dispatchJobs(services);
  assert.deepEqual(
    dispatched.map(({ id }) => jobs[id]),
    ['low, two days old', 'low', 'high', 'normal'],
  );
});

test('a team pays for the time that its jobs hold slots, up to half an hour after each', async () => {
  const [long, short] = [await createTestTeam(services), await createTestTeam(services)];
  await fill(long, 10, 'queued');
  await addWorker(1);
  const running = new Slots();
  await dispatchJobs(services);
  await running.fill(1);
  await services.sql.query(
    "UPDATE job_attempts SET started_at = now() - interval '5 minutes' WHERE ended_at IS NULL",
  );
  await fill(short, 10, 'queued');
  const places = await createQueuePlaces(services)((await queuedIds(short.id)).slice(0, 5));
  assert.deepEqual(
    [...places.values()].map(({ position }) => position).sort(),
    [1, 2, 3, 4, 5],
    'while it runs',
  );
  await running.release();
  const { virtualTime } = await services.db.teamTurn.findFirstOrThrow({ where: { teamId: long.id } });
  const clock = await services.db.turnClock.findFirstOrThrow({ where: { kind: 'training' } });
  assert.ok(virtualTime - clock.virtualTime > 4.9, `${virtualTime} at ${clock.virtualTime}`);
  assert.ok(virtualTime - clock.virtualTime < 6);
});

async function queuedIds(teamId: string): Promise<string[]> {
  const rows = await services.db.job.findMany({
    where: { teamId, state: 'queued' },
    select: { id: true },
    orderBy: { createdAt: 'asc' },
  });
  return rows.map(({ id }) => id);
}

test('the expected start goes by what ran, and is null before', async () => {
  const team = await createTestTeam(services);
  const job = await createTestJob(services, team, 'queued');
  await addWorker(1);
  const start = async () => (await createQueuePlaces(services)([job.id])).get(job.id)!.start;
  assert.equal(await start(), null);
  const ran = await createTestJob(services, team, 'failed');
  await services.sql.query(
    "UPDATE job_attempts SET started_at = ended_at - interval '10 minutes' WHERE job_id = $1 AND kind = 'training'",
    [ran.id],
  );
  assert.deepEqual(await start(), { median: 0, late: 0 }, 'the slot is free');
  const busy = await createTestJob(services, team, 'running');
  await services.sql.query(
    "UPDATE job_attempts SET started_at = now() - interval '4 minutes' WHERE job_id = $1 AND kind = 'training'",
    [busy.id],
  );
  const { median } = (await start())!;
  assert.ok(median > 350 && median <= 360, `${median}`);
  assert.equal((await getJob(services, team.id, busy.id))!.state, 'running');
});
