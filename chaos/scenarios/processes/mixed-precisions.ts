import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { holderOf } from '../../harness/holder.ts';
import { type AcceptedJob, createJob, isOver, untilJob } from '../../harness/jobs.ts';
import { faultsOf } from '../../harness/oracles/job-outcome.ts';
import { recoveryOf } from '../../harness/recovery.ts';
import type { Run, Scenario } from '../../harness/scenario.ts';
import { automatic, checkpointSteps, inBf16, inFp32 } from '../../harness/workload.ts';

export const mixedPrecisions: Scenario = {
  name: 'mixed-precisions',
  title: 'workers of different precision',
  about:
    'one worker sees a processor with bf16 instructions, the other one without, jobs leave the precision to them, and the one that holds a job is killed. The job stays in one precision, and no step is repeated beyond one checkpoint interval.',
  rounds: { short: 0, long: 30 },
  needs: ['mounts'],
  run: async (run) => {
    const { rig, rounds } = run;
    for (const variant of [inFp32, inBf16]) await run.control(variant);
    for (const worker of rig.workers.slice(1)) await rig.removeWorker(worker);
    const other = await rig.startWorker({ wrapper: withOtherProcessor(rig.options.folder) });
    for (let round = 1; round <= rounds; round++) await killHolder(run, round);
    await rig.removeWorker(other);
  },
};

/** Runs a command so that it sees a processor with bf16 instructions where this machine has none, and without where it has. */
function withOtherProcessor(folder: string): string[] {
  const real = readFileSync('/proc/cpuinfo', 'utf8');
  const flags = / (?:avx512_bf16|amx_bf16)\b/g;
  const other = flags.test(real)
    ? real.replace(flags, '')
    : real.replace(/^(flags\s*:.*)$/gm, '$1 avx512_bf16');
  const file = path.join(folder, 'cpuinfo');
  writeFileSync(file, other);
  return ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /proc/cpuinfo && exec "$@"', file];
}

async function killHolder(run: Run, round: number): Promise<void> {
  const { rig, report } = run;
  const random = run.random.forRound(round);
  const job = await createJob(rig, automatic);
  const wanted = 2 * checkpointSteps + random.below(60);
  const row = await untilJob(
    rig,
    job,
    (now) => isOver(now) || (now.state === 'running' && now.step >= wanted),
  );
  const holder = await holderOf(rig, row);
  if (holder && !isOver(row)) {
    report.progress(`round ${round} of ${run.rounds}: ${holder.name} at step ${row.step}`);
    const since = performance.now();
    holder.signal('SIGKILL');
    report.fault();
    job.strikes += 1;
    report.recovered(await recoveryOf(rig, job, row, since, 60 + 3 * run.timings.lease, 'claim'));
  }
  await untilJob(rig, job, isOver);
  report.broken(`job ${job.id}`, [
    ...(await likeOneOf(run, job)),
    ...(await repeatedFaults(run, job, row.step)),
  ]);
}

/** Differences from the nearest control. */
async function likeOneOf(run: Run, job: AcceptedJob): Promise<string[]> {
  const fp32 = await faultsOf(run.rig, job, await run.control(inFp32));
  if (fp32.length === 0) return [];
  const bf16 = await faultsOf(run.rig, job, await run.control(inBf16));
  return bf16.length < fp32.length ? bf16 : fp32;
}

async function repeatedFaults({ rig }: Run, job: AcceptedJob, step: number): Promise<string[]> {
  const starts = await rig.postgres.query<{ resumed: number }>(
    `SELECT coalesce((data->>'resumed_from')::int, 0) AS resumed FROM job_events
     WHERE job_id = $1 AND data ? 'resumed_from' ORDER BY seq OFFSET 1`,
    [job.id],
  );
  return starts
    .filter(({ resumed }) => resumed < step - checkpointSteps)
    .map(({ resumed }) => `it resumed from step ${resumed}, but was at ${step} or later`);
}
