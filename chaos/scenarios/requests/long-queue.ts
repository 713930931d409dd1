import { setTimeout as sleep } from 'node:timers/promises';
import { type AcceptedJob, createJob, request, untilJob } from '../../harness/jobs.ts';
import { spread } from '../../harness/recovery.ts';
import type { Run, Scenario } from '../../harness/scenario.ts';
import { residentMib } from '../../harness/services/resident.ts';
import { quick } from '../../harness/workload.ts';

const creators = 4;
const pollers = 300;

export const longQueue: Scenario = {
  name: 'long-queue',
  title: 'thousands of queued jobs',
  about:
    'as many jobs as rounds wait while nobody works: creating one, listing a hundred and three hundred pollers of one stay fast, and memory flat; then workers come, and each free slot is filled at once.',
  rounds: { short: 0, long: 10_000 },
  testTimings: true,
  run: async (run) => {
    const { rig, report, rounds } = run;
    for (const worker of [...rig.workers]) await rig.removeWorker(worker);
    const residentAtFirst = residentMib(rig.api.pid);

    const jobs: AcceptedJob[] = [];
    const creates: number[] = [];
    let started = 0;
    await together(creators, async () => {
      while (started++ < rounds) {
        const asked = performance.now();
        jobs.push(await createJob(rig, quick));
        creates.push(performance.now() - asked);
        if (jobs.length % 100 === 0) report.progress(`${jobs.length} of ${rounds} created`);
      }
    });
    report.tried = rounds;
    report.figure('create p99', spread(creates)?.p99 ?? 0, 'ms', 100);
    const last = jobs.at(-1)!;
    await untilJob(rig, last, ({ state }) => state === 'queued', 1800);

    const list = await timed(run, 100, '/fine_tuning/jobs?limit=100');
    report.figure('list of 100 p99', spread(list)?.p99 ?? 0, 'ms', 100);
    report.progress(`${pollers} pollers`);
    const polls: number[] = [];
    await together(pollers, async () => {
      // Each polls once a second, as waiting clients do.
      await sleep(run.random.between(0, 1000));
      for (let i = 0; i < 10; i++) {
        const [took] = await timed(run, 1, `/fine_tuning/jobs/${last.id}`);
        polls.push(took ?? 0);
        await sleep(Math.max(0, 1000 - (took ?? 0)));
      }
    });
    report.figure(`${pollers} pollers p99`, spread(polls)?.p99 ?? 0, 'ms', 300);
    report.figure('API memory grew by', residentMib(rig.api.pid) - residentAtFirst, 'MiB');

    await rig.heal();
    await fillSlots(run, jobs);
  },
};

/** Runs part of the jobs, measures how long slots were empty, and cancels the rest. */
async function fillSlots(run: Run, jobs: AcceptedJob[]): Promise<void> {
  const { rig, report } = run;
  const ids = jobs.map(({ id }) => id);
  const wanted = Math.min(jobs.length, 100);
  const count = async () => {
    const [row] = await rig.postgres.query<{ count: number }>(
      "SELECT count(*)::int FROM jobs WHERE state = 'succeeded' AND id = ANY ($1)",
      [ids],
    );
    return row?.count ?? 0;
  };
  for (const deadline = performance.now() + 1000 * (60 + 10 * wanted); ; await sleep(500)) {
    const over = await count();
    report.progress(`${over} of ${wanted} have run`);
    if (over >= Math.min(wanted, jobs.length)) break;
    if (performance.now() > deadline) {
      report.broken('queued jobs run', [`${over} of ${wanted} did in time`]);
      break;
    }
  }
  const gaps = await rig.postgres.query<{ gap: number }>(
    `SELECT extract(epoch FROM started_at - before)::float8 * 1000 AS gap FROM (
       SELECT started_at, lag(finished_at) OVER (PARTITION BY worker_id ORDER BY started_at) AS before
       FROM jobs WHERE id = ANY ($1) AND state = 'succeeded') AS runs WHERE before IS NOT NULL`,
    [ids],
  );
  report.figure('free slot filled p99', spread(gaps.map(({ gap }) => gap))?.p99 ?? 0, 'ms', 1000);
  let next = 0;
  await together(8, async () => {
    while (next < jobs.length) {
      const job = jobs[next++]!;
      await request(rig, job.team, 'POST', `/fine_tuning/jobs/${job.id}/cancel`);
    }
  });
  for (const deadline = performance.now() + 120_000; ; await sleep(300)) {
    const [left] = await rig.postgres.query<{ count: number }>(
      "SELECT count(*)::int FROM jobs WHERE id = ANY ($1) AND state NOT IN ('succeeded', 'cancelled')",
      [ids],
    );
    if (!left?.count) return;
    if (performance.now() > deadline) return report.broken('every job ends', [`${left.count} have not`]);
  }
}

async function timed({ rig, report }: Run, times: number, path: string): Promise<number[]> {
  const milliseconds: number[] = [];
  for (let i = 0; i < times; i++) {
    const asked = performance.now();
    const answer = await request(rig, rig.team, 'GET', path);
    milliseconds.push(performance.now() - asked);
    if (answer?.status !== 200)
      report.broken('reads are answered', [`GET ${path}: ${answer?.status ?? 'no answer'}`]);
  }
  return milliseconds;
}

async function together(count: number, work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, work));
}
