/** The worker process: trains jobs that it leases from Postgres, and serves models to the API. */
import { openServices } from '@graft/service';
import { loadWorkerEnv } from './env.ts';
import { startWorker } from './worker.ts';

const env = loadWorkerEnv();
const services = await openServices({ role: 'worker' });
const worker = await startWorker(services, env).catch(async (error) => {
  await services.close();
  throw error;
});
// The supervisor of `npm start` waits for this.
process.send?.({ type: 'ready', address: worker.address });

let stopping = false;
async function stop(signal: NodeJS.Signals): Promise<void> {
  // A second signal means: at once. Leases then run out and other workers take over.
  if (stopping) process.exit(1);
  stopping = true;
  services.log.info({ signal }, 'worker stopping');
  await worker.stop();
  await services.close();
  process.exit(0);
}
process.on('SIGTERM', (signal) => void stop(signal));
process.on('SIGINT', (signal) => void stop(signal));
