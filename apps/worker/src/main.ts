/** The worker process: trains jobs leased from Postgres and generates completions for the API. */
import { openServices } from '@graft/service/services';
import { loadWorkerEnv } from './env.ts';
import { startWorker } from './worker.ts';

// While starting, there is nothing to release. Without a handler, signals would not end process 1 of a container.
const leave = () => process.exit(0);
const signals = ['SIGTERM', 'SIGINT'] as const;
for (const event of [...signals, 'disconnect']) process.on(event, leave);
// The supervisor may have been killed before this process listened.
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
    // Third signal: exit without releasing. The leases expire and other workers take over.
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
// The supervisor was killed, and nothing else would stop this process.
process.on('disconnect', () => void stop('disconnect'));
for (const signal of signals) process.on(signal, () => void stop(signal));
for (const event of [...signals, 'disconnect']) process.off(event, leave);
