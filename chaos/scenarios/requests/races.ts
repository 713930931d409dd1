import { setTimeout as sleep } from 'node:timers/promises';
import { type AcceptedJob, createJob, isOver, request, untilJob } from '../../harness/jobs.ts';
import { faultsOf } from '../../harness/oracles/job-outcome.ts';
import type { Run, Scenario } from '../../harness/scenario.ts';
import { quick } from '../../harness/workload.ts';

export const races: Scenario = {
  name: 'races',
  title: 'cancel/complete and pause/complete races',
  about:
    'cancel or pause (then resume) is requested around the moment in which the job completes. One terminal state, reported the same by every answer, and no version of a cancelled job.',
  rounds: { short: 4, long: 500 },
  testTimings: true,
  run: async (run) => {
    const { rounds, rig } = run;
    await run.control(quick);
    // As many concurrent jobs as there are workers.
    let round = 0;
    const racer = async () => {
      while (round < rounds) await race(run, ++round);
    };
    await Promise.all(rig.workers.map(racer));
  },
};

async function race(run: Run, round: number): Promise<void> {
  const { rig, report } = run;
  const random = run.random.forRound(round);
  const verb = random.pick(['cancel', 'pause'] as const);
  const job = await createJob(rig, quick);
  const moment = random.between(0, 1200);
  await untilJob(rig, job, (row) => row.state === 'running' || isOver(row));
  await sleep(moment);
  const answer = await request(rig, job.team, 'POST', `/fine_tuning/jobs/${job.id}/${verb}`);
  report.fault();
  report.progress(`round ${round} of ${run.rounds}: ${verb} answered ${answer?.status}`);
  const faults: string[] = [];
  if (answer && answer.status >= 500) faults.push(`${verb} answered ${answer.status}: ${answer.body}`);
  let row = await untilJob(rig, job, (now) => isOver(now) || now.state === 'paused', 120);
  if (row.state === 'paused') {
    await request(rig, job.team, 'POST', `/fine_tuning/jobs/${job.id}/resume`);
    row = await untilJob(rig, job, isOver, 120);
  }
  await sleep(300);
  const later = await untilJob(rig, job, isOver, 10);
  if (later.state !== row.state) faults.push(`it was ${row.state} and is ${later.state}`);
  // Accepted cancels may be too late; nothing else may end a job.
  if (row.state === 'succeeded') faults.push(...(await faultsOf(rig, job, await run.control(quick))));
  else if (row.state === 'cancelled' && verb === 'cancel') faults.push(...(await cancelledFaults(run, job)));
  else faults.push(`${verb} made it ${row.state}`);
  report.broken(`${verb} of ${job.id} after ${Math.round(moment)} ms`, faults);
}

async function cancelledFaults({ rig }: Run, job: AcceptedJob): Promise<string[]> {
  const [counts] = await rig.postgres.query<{ versions: number; outbox: number }>(
    `SELECT (SELECT count(*)::int FROM adapter_versions WHERE job_id = $1) AS versions,
            (SELECT count(*)::int FROM outbox WHERE payload->>'id' = $1 AND topic ~ 'succeeded|failed|cancelled') AS outbox`,
    [job.id],
  );
  return [
    ...(counts?.versions === 0 ? [] : ['a cancelled job has a version']),
    ...(counts?.outbox === 1 ? [] : [`${counts?.outbox} outbox rows of one end`]),
  ];
}
