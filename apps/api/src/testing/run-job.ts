import { claimJob, dispatchJobs, type Job } from '@graft/service/jobs';
import { registerWorker } from '@graft/service/workers';
import type { ApiBench } from './open-api-bench.ts';

const workerId = 'worker-test';

/** Brings a queued job to running, as dispatcher and worker do. Other queued jobs are dispatched too. */
export async function runJob({ services, untilState }: ApiBench, id: string): Promise<Job> {
  await untilState(id, 'queued');
  // Enough slots for every job of the tests.
  await registerWorker(services, { id: workerId, address: null, hostname: 'test', pid: 1, slots: 1000 });
  await services.sql.query('UPDATE teams SET running_limit = 1000');
  const lease = (await dispatchJobs(services)).find((each) => each.id === id);
  const job = lease && (await claimJob(services, lease, { workerId, leaseSeconds: 600 }));
  if (!job) throw new Error(`${id} was not dispatched`);
  return job;
}
