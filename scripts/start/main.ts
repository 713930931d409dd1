/**
 * `npm start`: Postgres (the embedded one without DATABASE_URL), migrations, the first key, then API and worker as
 * child processes that are started again when they die. Ctrl-C or SIGTERM stops them in order: the API takes no more
 * requests, the worker checkpoints its jobs and gives them back, Postgres is last. `api` or `worker` as argument runs
 * one of them apart.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import {
  acquirePostgres,
  createLogger,
  ensureBootstrapKey,
  loadServiceEnv,
  openServices,
} from '@graft/service';
import { printBanner } from './banner.ts';
import { type Supervised, supervise } from './supervise.ts';

const root = path.join(import.meta.dirname, '..', '..');
const programs = { api: 'apps/api/src/main.ts', worker: 'apps/worker/src/main.ts' };
/** Milliseconds that each has to stop: its own limit, and a little more. */
const patience = { api: 30_000, worker: 90_000 };
type Program = keyof typeof programs;

const [argument] = process.argv.slice(2);
if (argument !== undefined && argument !== 'api' && argument !== 'worker') {
  console.error('usage: npm start, npm run start:api, npm run start:worker');
  process.exit(2);
}
const selected: Program[] = argument === undefined ? ['api', 'worker'] : [argument];

const settings = path.join(root, '.env');
// Variables that are set already win.
if (existsSync(settings)) process.loadEnvFile(settings);

try {
  process.exitCode = await run();
} catch (error) {
  console.error(`Graft cannot start. ${(error as Error).message}`);
  process.exitCode = 1;
}

async function run(): Promise<number> {
  const env = loadServiceEnv();
  const log = createLogger({ level: env.logLevel, name: 'graft-start' });
  // From the first moment, so that a signal during the start is not lost.
  const stopping = stopRequest();
  const postgres = await acquirePostgres(env, log);
  const children: Supervised[] = [];
  try {
    const services = await openServices({ role: 'admin', env, log });
    const key = selected.includes('api') ? await ensureBootstrapKey(services) : null;
    await services.close();

    let gaveUp: (reason: string) => void = () => {};
    const failure = new Promise<string>((resolve) => {
      gaveUp = resolve;
    });
    for (const name of selected) {
      if (stopping.requested) break;
      children.push(
        supervise({ name, root, program: programs[name], patience: patience[name], log, onGiveUp: gaveUp }),
      );
    }
    const ready = Promise.all(children.map((child) => child.ready));
    const started = await Promise.race([ready, stopping.promise, failure]);
    if (Array.isArray(started)) {
      printBanner({ env, selected, key, embedded: postgres.embedded, address: started[0] ?? null });
    }
    const reason = await Promise.race([stopping.promise, failure]);
    if (reason !== null) console.error(reason);
    return reason === null ? 0 : 1;
  } finally {
    for (const child of children) await child.stop();
    await postgres.release();
  }
}

/**
 * Resolves to null at the first SIGINT or SIGTERM. Ctrl-C may arrive twice, from the terminal and from a parent that
 * passes it on: only a later one means "at once", and ends everything without waiting.
 */
function stopRequest(): { promise: Promise<null>; readonly requested: boolean } {
  let since: number | null = null;
  const promise = new Promise<null>((resolve) => {
    const onSignal = () => {
      if (since !== null && performance.now() - since > 1_500) process.exit(130);
      since ??= performance.now();
      resolve(null);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
  return {
    promise,
    get requested() {
      return since !== null;
    },
  };
}
