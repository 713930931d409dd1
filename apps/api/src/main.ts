/** The API process: opens the services, serves, and shuts down on SIGTERM, SIGINT or the loss of its supervisor. */
import { loadServiceEnv, planFault, planThreads } from '@graft/service/environment';
import { openServices } from '@graft/service/services';
import { buildApp } from './app.ts';

/** Milliseconds that running requests have to finish. */
const drainMs = 25_000;

async function start() {
  const env = loadServiceEnv();
  const plan = planThreads(env);
  const fault = planFault(plan);
  if (fault) throw new Error(fault);
  const services = await openServices({ role: 'api', env });
  services.log.info(plan, 'threads and heaps, in MiB');
  const app = await buildApp(services);
  const address = await app.listen({ host: services.env.host, port: services.env.port, backlog: 4096 });
  if (process.connected) process.send?.({ type: 'ready', address });
  await app.compileValidators();
  return { services, app };
}

let closing = false;
async function close(signal: NodeJS.Signals | 'disconnect'): Promise<void> {
  // A second signal exits immediately.
  if (closing) process.exit(1);
  closing = true;
  // Waits for a start in progress, so that everything opened is closed.
  const { services, app } = await started;
  services.log.info({ signal }, 'closing');
  setTimeout(() => {
    services.log.error('requests did not finish in time');
    process.exit(1);
  }, drainMs).unref();
  await app.close();
  await services.close();
  process.exit();
}
// The supervisor was killed: without it nothing would stop this process.
process.on('disconnect', () => void close('disconnect'));
process.on('SIGTERM', close);
process.on('SIGINT', close);

const started = start();
started.catch((error: Error) => {
  if (process.connected) process.send?.({ type: 'failed', message: error.message });
});
// The supervisor may have been killed before the listener was added.
if (process.connected === false) void close('disconnect');
await started;
