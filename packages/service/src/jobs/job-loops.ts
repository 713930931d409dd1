import { pingDatabase } from '../database/database.ts';
import { runExclusive } from '../database/run-exclusive.ts';
import { repeat } from '../repeat.ts';
import type { Services } from '../services.ts';
import { collectGarbage } from '../storage/collect-garbage.ts';
import { removeDeadWorkers } from '../workers/worker-registry.ts';
import { dispatchJobs, staleDispatched } from './transitions/dispatch-jobs.ts';
import { sweepExpiredLeases } from './transitions/sweep-expired-leases.ts';

/** Seconds until a ring that nobody answered is rung again. */
const ringAgainSeconds = 15;

/**
 * Dispatcher, sweeper, reconciler and collector: every worker's parent process runs these loops, and an advisory lock
 * lets one process run each at a time. A pass that fails (Postgres or the queue away) is tried again. `close` waits for
 * the passes under way.
 */
export function startJobLoops(
  services: Pick<Services, 'db' | 'sql' | 'queue' | 'log' | 'env' | 'artifacts'>,
): {
  close(): Promise<void>;
} {
  const { queue, env, log } = services;
  const loop = (name: string, seconds: number, pass: () => Promise<void>) =>
    repeat(name, seconds * 1000, async () => void (await runExclusive(services, name, pass)), log);
  const loops = [
    loop('dispatch', 0.5, async () => {
      for (const lease of await dispatchJobs(services)) {
        // A ring that fails is made up for by the reconciler.
        await queue.ring(lease).catch((error: unknown) => {
          log.warn({ err: error, jobId: lease.id }, 'ringing for a job failed');
        });
      }
    }),
    loop('sweep', env.sweepSeconds, graceAfterOutage(services)),
    loop('reconcile', Math.min(5, env.sweepSeconds), async () => {
      for (const lease of await staleDispatched(services, { seconds: ringAgainSeconds }))
        await queue.ring(lease);
    }),
    loop('collect', 3600, async () => {
      await removeDeadWorkers(services);
      await collectGarbage(services);
    }),
  ];
  return {
    close: async () => {
      await Promise.all(loops.map((running) => running.stop()));
    },
  };
}

/**
 * The sweeper. When Postgres did not answer this process for half a lease, other workers could not reach it either:
 * after that, nothing is swept until they had one full lease to renew theirs.
 */
function graceAfterOutage(services: Pick<Services, 'db' | 'sql' | 'log' | 'env'>): () => Promise<void> {
  const leaseMs = services.env.leaseSeconds * 1000;
  let lastContact = performance.now();
  let sweepFrom = 0;
  return async () => {
    await pingDatabase(services);
    const now = performance.now();
    if (now - lastContact > leaseMs / 2 + services.env.sweepSeconds * 1000) sweepFrom = now + leaseMs;
    lastContact = now;
    if (now < sweepFrom) return;
    for (const job of await sweepExpiredLeases(services, { leaseSeconds: services.env.leaseSeconds })) {
      services.log.warn(
        { jobId: job.id, state: job.state, leaseEpoch: job.leaseEpoch },
        "swept a lost worker's job",
      );
    }
  };
}
