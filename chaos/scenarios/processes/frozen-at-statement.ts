import { setTimeout as sleep } from 'node:timers/promises';
import { type AcceptedJob, createJob, isOver, untilJob } from '../../harness/jobs.ts';
import { faultsOf } from '../../harness/oracles/job-outcome.ts';
import { spread } from '../../harness/recovery.ts';
import type { WiredMember } from '../../harness/rig.ts';
import type { Run, Scenario } from '../../harness/scenario.ts';
import { normalised } from '../../harness/services/postgres-statements.ts';
import { quick } from '../../harness/workload.ts';

/** A statement, and whether the worker freezes before it reaches Postgres or while it is executed. */
interface Case {
  statement: string;
  when: 'before' | 'after';
}

export const frozenAtStatement: Scenario = {
  name: 'frozen-at-statement',
  title: 'SIGSTOP at each SQL statement of a worker',
  about:
    'first the harness records every statement that a worker sends while it runs a job; then, for each, the worker is stopped (SIGSTOP) as it sends it, before it arrives or once it is executed, with whatever locks and transactions it holds. Other workers continue within one lease.',
  rounds: { short: 2, long: 1000 },
  testTimings: true,
  run: async (run) => {
    const { report, rounds, timings } = run;
    await run.control(quick);
    const statements = await statementsOf(run);
    report.figure('statements', statements.length, '');
    const all = statements.flatMap((statement): Case[] => [
      { statement, when: 'before' },
      { statement, when: 'after' },
    ]);
    // Every case once, in the order of the seed.
    const cases = run.random.shuffled(all).slice(0, rounds);
    for (const [i, one] of cases.entries()) {
      report.progress(`${i + 1} of ${cases.length}, ${one.when}: ${one.statement.slice(0, 70)}`);
      await freezeAt(run, one);
    }
    const slowest = spread(report.recoveries)?.worst ?? 0;
    // A sweep, a pause before the next attempt and a dispatch add to the lease.
    report.figure('others continue within', slowest / 1000, 's', timings.lease + 3);
  },
};

/** The statements of one worker during a whole job. */
async function statementsOf({ rig }: Run): Promise<string[]> {
  const seen = new Set<string>();
  for (const { postgres } of rig.workers) {
    postgres.onStatement = (sql) => {
      seen.add(normalised(sql));
      return 'pass';
    };
  }
  await untilJob(rig, await createJob(rig, quick), isOver);
  for (const { postgres } of rig.workers) postgres.onStatement = null;
  return [...seen].sort();
}

async function freezeAt(run: Run, { statement, when }: Case): Promise<void> {
  const { rig, report, timings } = run;
  const frozen: { worker: WiredMember | null; since: number } = { worker: null, since: 0 };
  for (const worker of rig.workers) {
    worker.postgres.onStatement = (sql) => {
      if (frozen.worker || normalised(sql) !== statement) return 'pass';
      Object.assign(frozen, { worker, since: performance.now() });
      worker.signalAll('SIGSTOP');
      // The held-back statement never arrives while its sender sleeps; its connection stays open.
      if (when === 'before') worker.postgres.silence();
      return 'pass';
    };
  }
  const job = await createJob(rig, quick);
  const patience = 30 + 6 * timings.lease;
  const elsewhere = await untilElsewhere(run, job, () => frozen.worker, patience);
  const late = elsewhere ? [] : [`no other worker takes the job within ${patience} s`];
  if (elsewhere) await untilJob(rig, job, isOver, patience).catch(() => {});
  for (const { postgres } of rig.workers) postgres.onStatement = null;
  if (frozen.worker) {
    report.fault();
    job.strikes += 1;
    report.recovered(elsewhere && elsewhere - frozen.since);
    frozen.worker.postgres.restore();
    frozen.worker.signalAll('SIGCONT');
  }
  await untilJob(rig, job, isOver).catch(() => {});
  const faults = await faultsOf(rig, job, await run.control(quick));
  report.broken(`stopped ${when} ${statement.slice(0, 120)}`, [...late, ...faults]);
}

/** When the job ended or runs on a worker that is not frozen; null: not within `seconds`. */
async function untilElsewhere(
  { rig }: Run,
  job: AcceptedJob,
  frozen: () => WiredMember | null,
  seconds: number,
): Promise<number | null> {
  for (const end = performance.now() + 1000 * seconds; performance.now() < end; await sleep(30)) {
    const [row] = await rig.postgres.query<{ over: boolean; pid: number | null }>(
      `SELECT finished_at IS NOT NULL AS over, (SELECT pid FROM workers WHERE id = worker_id AND state = 'running') AS pid
       FROM jobs WHERE id = $1`,
      [job.id],
    );
    const pid = frozen()?.pid;
    if (row?.over || (row?.pid && pid && row.pid !== pid)) return performance.now();
  }
  return null;
}
