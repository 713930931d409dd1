import { setTimeout as sleep } from 'node:timers/promises';
import { createJob, isOver, request, untilJob } from '../../harness/jobs.ts';
import { spread } from '../../harness/recovery.ts';
import type { Scenario } from '../../harness/scenario.ts';
import { variants } from '../../harness/workload.ts';

export const cancelLatency: Scenario = {
  name: 'cancel-latency',
  title: 'cancel with the queue down',
  about:
    'the queue is down (Redis killed) and running jobs are cancelled: each is cancelled within two seconds.',
  rounds: { short: 1, long: 50 },
  queues: ['redis'],
  testTimings: true,
  run: async ({ rig, rounds, random, report }) => {
    const milliseconds: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      const job = await createJob(rig, variants[0]!);
      await untilJob(rig, job, ({ state, step }) => state === 'running' && step > 0);
      await rig.redis?.kill();
      await sleep(random.between(0, 1500));
      const asked = performance.now();
      const answer = await request(rig, job.team, 'POST', `/fine_tuning/jobs/${job.id}/cancel`);
      report.fault();
      const row = await untilJob(rig, job, isOver);
      milliseconds.push(performance.now() - asked);
      report.recovered(performance.now() - asked);
      report.progress(`round ${round} of ${rounds}: ${Math.round(milliseconds.at(-1)!)} ms`);
      // A job that completed at that moment is fine too.
      const ended = row.state === 'cancelled' || (row.state === 'succeeded' && answer?.status === 409);
      report.broken(`cancel of ${job.id}`, ended ? [] : [`${answer?.status}, and it is ${row.state}`]);
      await rig.redis?.start();
    }
    report.figure('cancel p99', spread(milliseconds)?.p99 ?? 0, 'ms', 2000);
  },
};
