import { setTimeout as sleep } from 'node:timers/promises';
import type { JobIntegrationRequest } from '@graft/wire/integration';
import { type Job, leaseOf } from '../../jobs/job.ts';
import { type JobMetric, recordMetrics } from '../../jobs/leases/job-metrics.ts';
import { listEvents } from '../../jobs/records/read-job-history.ts';
import type { Services } from '../../services.ts';
import { createTestJob, type TestTeam } from '../../testing/job-fixtures.ts';
import type { IntegrationTimes } from '../send/integration-sender.ts';

/** Settings with short delays. */
export const quick: Partial<IntegrationTimes> = {
  pollMs: 20,
  firstSeconds: 0.05,
  longestSeconds: 0.2,
  maxRefusals: 3,
  batch: 7,
};

/** Creates a running job that sends its metrics to these services. */
export async function startMetricJob(
  services: Services,
  team: TestTeam,
  ...integrations: JobIntegrationRequest[]
): Promise<Job> {
  return await createTestJob(services, team, 'running', { integrations });
}

/** Writes metrics as a worker does: training steps `from` to `to`, then an evaluation after every fifth step. */
export async function trainSteps(services: Services, job: Job, from: number, to: number): Promise<void> {
  const train: JobMetric[] = [];
  const evaluations: JobMetric[] = [];
  for (let step = from; step <= to; step++) {
    const at = { step, epoch: step / 10 };
    train.push({
      ...at,
      kind: 'train',
      loss: 2 / step,
      tokens: step * 100,
      metrics: {
        token_accuracy: 0.5,
        learning_rate: 1e-4,
        grad_norm: 1,
        tokens_per_second: 1000,
        memory_bytes: 7e9,
      },
    });
    const metrics = { token_accuracy: 0.5 };
    if (step % 5 === 0)
      evaluations.push({ ...at, kind: 'evaluation', loss: 3 / step, tokens: null, metrics });
  }
  await recordMetrics(services, leaseOf(job), train);
  await sleep(60);
  await recordMetrics(services, leaseOf(job), evaluations);
}

/** Waits until `holds` is true of the job's record of sent metrics. */
export async function untilSent(
  services: Services,
  job: Job,
  holds: (report: { status: string; sent: number; failures: number }) => boolean,
): Promise<void> {
  const end = performance.now() + 60_000;
  for (;;) {
    const report = await services.db.jobIntegration.findFirst({
      where: { teamId: job.teamId, jobId: job.id },
    });
    if (report && holds(report)) return;
    if (performance.now() > end) throw new Error(`waited in vain: ${JSON.stringify(report)}`);
    await sleep(20);
  }
}

export async function messagesOf(services: Services, job: Job): Promise<string[]> {
  const { data } = await listEvents(services, job.teamId, job.id, { limit: 100 });
  return data.map(({ message }) => message).reverse();
}
