import {
  acquirePostgres,
  type createLogger,
  ensureBootstrapKey,
  openServices,
  planThreads,
  type ServiceEnv,
  withoutFileSecrets,
} from '@graft/service';
import { printBanner } from './banner.ts';
import { checkPort } from './check-port.ts';
import type { StartLog } from './start-log.ts';
import { type Supervised, supervise } from './supervise.ts';

/** One of the processes that are Graft. */
export interface Program {
  name: 'api' | 'worker';
  entry: URL;
  /** Milliseconds that it has to stop: its own limit, and a little more. */
  patience: number;
}

interface Options {
  root: string;
  /** In the order in which they start, and stop. */
  programs: Program[];
  env: ServiceEnv;
  log: ReturnType<typeof createLogger>;
  startLog: StartLog;
  /** Resolves to null when everything is to stop. */
  stopping: { promise: Promise<null>; readonly requested: boolean };
}

/**
 * Starts Postgres, migrations, the first key, then the programs, and runs them until they are asked to stop or one cannot start. They stop
 * in an order in which each still has what it needs: first the API, while the worker can answer its last requests; then the worker, which
 * checkpoints its jobs and releases them; Postgres last. Resolves to the exit code.
 */
export async function runPrograms({
  root,
  programs,
  env,
  log,
  startLog,
  stopping,
}: Options): Promise<number> {
  const selected = programs.map(({ name }) => name);
  if (selected.includes('api')) await checkPort(env.host, env.port, 'PORT');
  if (selected.includes('worker')) await checkPort(env.workerHost, env.workerPort, 'GRAFT_WORKER_PORT');
  if (startLog.file !== null) startLog.show(`Starting Graft; its log is ${startLog.file}`);
  const postgres = await acquirePostgres(env, log);
  const children: Supervised[] = [];
  try {
    const key = selected.includes('api') ? await firstKey(env, log) : null;

    let gaveUp: (reason: string) => void = () => {};
    const failure = new Promise<string>((resolve) => {
      gaveUp = resolve;
    });
    for (const { name, entry, patience } of programs) {
      if (stopping.requested) break;
      children.push(
        supervise({
          name,
          root,
          entry,
          env: environmentOf(name),
          flags: name === 'api' ? [`--max-old-space-size=${planThreads(env).threads.main.heapMb}`] : [],
          patience,
          log,
          startLog,
          onGiveUp: gaveUp,
        }),
      );
    }
    const ready = Promise.all(children.map((child) => child.ready));
    const started = await Promise.race([ready, stopping.promise, failure]);
    if (Array.isArray(started)) {
      const { embedded } = postgres;
      const logFile = startLog.file;
      printBanner({ env, selected, key, embedded, address: started[0] ?? null, logFile });
    }
    const reason = await Promise.race([stopping.promise, failure]);
    if (reason !== null) startLog.show(startLog.file === null ? reason : `${reason} (log: ${startLog.file})`);
    return reason === null ? 0 : 1;
  } finally {
    if (startLog.file !== null) startLog.show('Stopping: jobs that run write a checkpoint first.');
    for (const child of children) await child.stop();
    await postgres.release();
    if (startLog.file !== null) startLog.show('Stopped.');
  }
}

/** Settings that a worker has no use for: its environment may be read by what it runs. */
const apiSecrets = [
  'GRAFT_OPERATOR_KEY',
  'GRAFT_MIGRATION_DATABASE_URL',
  'GRAFT_PEPPER',
  'GRAFT_SEALING_KEY',
  'GRAFT_BOOTSTRAP_KEY',
  'GRAFT_OIDC_CLIENT_SECRET',
  'GRAFT_AUDIT_SINK',
  'GRAFT_AUDIT_SINK_TOKEN',
];

function environmentOf(name: Program['name']): NodeJS.ProcessEnv {
  const own = withoutFileSecrets(process.env);
  if (name === 'worker')
    for (const variable of apiSecrets) {
      delete own[variable];
      delete own[`${variable}_FILE`];
    }
  return own;
}

async function firstKey(env: ServiceEnv, log: Options['log']): Promise<string | null> {
  const services = await openServices({ role: 'admin', env, log });
  try {
    return await ensureBootstrapKey(services);
  } finally {
    await services.close();
  }
}
