/** The worker process: trains jobs that it leases from Postgres, and serves models to the API. */
import { openServices } from '@graft/service';
import { loadWorkerEnv } from './env.ts';
import { startWorker } from './worker.ts';

// Until it works there is nothing to give back. As process 1 of a container no signal would end it by itself.
const leave = () => process.exit(0);
const signals = ['SIGTERM', 'SIGINT'] as const;
for (const event of [...signals, 'disconnect']) process.on(event, leave);
// The supervisor may have been killed before anything listened.
if (process.connected === false) leave();

const env = loadWorkerEnv();
const services = await openServices({ role: 'worker' });
const worker = await startWorker(services, env).catch(async (error) => {
  await services.close();
  throw error;
});
// The supervisor of `npm start` waits for this.
if (process.connected) process.send?.({ type: 'ready', address: worker.address });

// Ctrl-C may reach this process twice, from the terminal and from a supervisor: only a later signal means "faster".
const patienceMilliseconds = 2000;
// After the time to drain: connections that do not close are dropped.
const closeMilliseconds = 2000;
let stoppingSince: number | null = null;
let hurried = false;

async function stop(signal: NodeJS.Signals | 'disconnect'): Promise<void> {
  if (stoppingSince !== null) {
    if (performance.now() - stoppingSince < patienceMilliseconds) return;
    // Twice: leases then run out, and other workers take over.
    if (hurried) process.exit(1);
    hurried = true;
    return worker.hurry();
  }
  stoppingSince = performance.now();
  services.log.info({ signal }, 'worker stopping');
  setTimeout(() => process.exit(1), env.drainSeconds * 1000 + closeMilliseconds).unref();
  await worker.stop();
  await services.close();
  process.exit(0);
}
// The supervisor was killed: without it nobody would stop this process any more.
process.on('disconnect', () => void stop('disconnect'));
for (const signal of signals) process.on(signal, () => void stop(signal));
for (const event of [...signals, 'disconnect']) process.off(event, leave);
