import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Services } from '@graft/service/services';

/** A worker in a separate process, as started by `npm run start:worker`. */
export interface ForkedWorker {
  pid: number;
  address: string;
  /** Pid of its trainer; null while there is none. */
  trainerPid(): number | null;
  /** Pid of its child that runs this file, such as `exporter`; null while there is none. */
  childPid(name: string): number | null;
  kill(signal: NodeJS.Signals): void;
  /** Closes the IPC channel, as when the supervisor dies. */
  disconnect(): void;
  /** Exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
}

/** Settings of a worker on the database and data folder of `services`. */
export function workerSettings({ env, databaseUrl }: Services): NodeJS.ProcessEnv {
  return {
    GRAFT_CACHE_DIR: env.cacheDir,
    DATABASE_URL: databaseUrl,
    ...(env.redisUrl ? { REDIS_URL: env.redisUrl } : {}),
    GRAFT_DATA_DIR: env.dataDir,
    GRAFT_BASE_MODELS: env.baseModels,
    GRAFT_TENSORFLOW: 'cpu',
  };
}

/** Forks main.ts, or `entry`, on the database and data folder of `services`, with leases of 5 s, and waits until it is ready. */
export async function forkWorker(
  services: Services,
  env: NodeJS.ProcessEnv = {},
  entry = new URL('../main.ts', import.meta.url),
): Promise<ForkedWorker> {
  const { PATH, HOME, XDG_CACHE_HOME } = process.env;
  const child = fork(fileURLToPath(entry), {
    env: {
      PATH,
      HOME,
      ...(XDG_CACHE_HOME ? { XDG_CACHE_HOME } : {}),
      ...workerSettings(services),
      GRAFT_LEASE_SECONDS: '5',
      GRAFT_HEARTBEAT_SECONDS: '1',
      GRAFT_SWEEP_SECONDS: '1',
      LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'fatal',
      ...env,
    },
  });
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  const ready = once(child, 'message').then(([message]) => message as { address: string });
  const first = await Promise.race([ready, exited]);
  if (typeof first !== 'object') throw new Error(`The worker ended with ${first} before it was ready.`);
  const pid = child.pid!;
  const childPid = (name: string): number | null => {
    try {
      return Number(
        execFileSync('pgrep', ['-P', String(pid), '-f', `${name}\\.[jt]s`], { encoding: 'utf8' }).trim(),
      );
    } catch {
      return null;
    }
  };
  return {
    pid,
    address: first.address,
    trainerPid: () => childPid('trainer'),
    childPid,
    kill: (signal) => void child.kill(signal),
    disconnect: () => child.disconnect(),
    exited,
  };
}
