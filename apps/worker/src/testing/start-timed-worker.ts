import { openServices } from '@graft/service/services';
import { loadWorkerEnv } from '../env.ts';
import { startWorker, type Worker } from '../worker.ts';
import type { WorkerBench } from './worker-bench.ts';

export interface WorkerChange {
  /** A data folder other than the shared one. */
  dataDir?: string;
  minFreeBytes?: number;
  /** Instead of timed-trainer.ts. */
  trainer?: URL;
}

const env = loadWorkerEnv({ GRAFT_TENSORFLOW: 'cpu', GRAFT_PROOF_SECONDS: '1' });

/** Starts a complete worker in this process, with separate services as on another machine. Its trainers only wait. */
export async function startTimedWorker(
  { services: { env: shared, secrets, databaseUrl, log } }: WorkerBench,
  change: WorkerChange = {},
): Promise<Worker> {
  const { trainer = new URL('./timed-trainer.ts', import.meta.url), ...settings } = change;
  const { internalToken } = secrets;
  const services = await openServices({
    role: 'worker',
    env: { ...shared, internalToken, databaseUrl, ...settings },
    log,
  });
  const generator = new URL('../generation/generator.ts', import.meta.url);
  const worker = await startWorker(services, env, { trainer, generator });
  const stop = async () => {
    await worker.stop();
    await services.close();
  };
  return { ...worker, stop };
}
