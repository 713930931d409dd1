import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { planThreads, type ServiceEnv, withoutFileSecrets } from '@graft/service/environment';
import type { createLogger } from '@graft/service/logger';
import { acquirePostgres } from '@graft/service/postgres';
import { openServices } from '@graft/service/services';
import { ensureBootstrapKey } from '@graft/service/teams';
import type { StartLog } from './start-log.ts';
import { type Supervised, supervise } from './supervise.ts';

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

interface Started {
  env: ServiceEnv;
  selected: ('api' | 'worker')[];
  /** Made at this start: shown this once. */
  key: string | null;
  embedded: boolean;
  /** Address of the first program selected. */
  address: string | null;
  /** Null: lines of log go to standard output. */
  logFile: string | null;
}

/** Prints what the person who started Graft needs next. */
function printBanner(started: Started): void {
  console.log(
    `\n${bannerLines(started)
      .map((line) => `  ${line}`.trimEnd())
      .join('\n')}\n`,
  );
}

/** Ends with where it is and the key: what the person reads first. */
export function bannerLines({ env, selected, key, embedded, address, logFile }: Started): string[] {
  const stores = [
    embedded ? 'Postgres embedded' : 'Postgres by DATABASE_URL',
    env.redisUrl === undefined ? 'queue in Postgres' : 'queue in Redis',
    `data in ${env.dataDir}`,
  ].join(', ');
  const state = [stores, ...(logFile === null ? [] : [`Log in ${logFile}`])];
  if (!selected.includes('api')) return ['Graft worker is running.', '', ...state];

  // A wildcard is no address to call.
  const host = env.host === '0.0.0.0' || env.host === '::' ? '127.0.0.1' : env.host;
  const origin = address ?? `http://${host}:${env.port}`;
  const variables = origin === 'http://127.0.0.1:8000' ? [] : [`  export GRAFT_BASE_URL=${origin}/v1`];
  const keyText = env.bootstrapKey === undefined ? 'your key' : 'the key in GRAFT_BOOTSTRAP_KEY';
  const isMeasured = env.metricsToken !== undefined || env.metricsLoopback;
  return [
    selected.includes('worker') ? 'Graft is running.' : 'Graft API is running.',
    '',
    ...state,
    ...(isMeasured ? [] : ['Nobody reads /metrics: set GRAFT_METRICS_TOKEN (docs/operations.md)']),
    '',
    'Next, in another terminal:',
    ...variables,
    key === null ? `  export GRAFT_API_KEY=…   # ${keyText}` : `  export GRAFT_API_KEY=${key}`,
    '  npx graft files upload your-data.jsonl',
    '  npx graft --help',
    ...(key === null && env.bootstrapKey === undefined
      ? [
          '',
          'If the key is lost, create another:',
          '  export GRAFT_OPERATOR_KEY=$(npx graft admin bootstrap)   # or: rescue, if there is an operator key',
          '  npx graft admin keys create --team default',
        ]
      : []),
    '',
    `API    ${origin}/v1`,
    `Docs   ${origin}/docs`,
    `Pages  ${origin}/`,
    ...(key === null ? [] : [`Key    ${key}   (shown this once)`]),
  ];
}

interface Holder {
  pid: number;
  command: string;
}

/**
 * Throws one line where another program has the port: which one, as far as this user may see it, and what to do. 0 is any free port.
 * @param setting the variable that names the port
 */
export async function checkPort(host: string, port: number, setting: string): Promise<void> {
  if (port === 0) return;
  const code = await listenFault(host, port);
  if (code === null) return;
  const start = `${setting}=${port + 1} npm start`;
  if (code === 'EACCES')
    throw new Error(
      `${setting} is ${port}, which this user may not listen on: choose a port above 1023, such as ${setting}=8000 npm start`,
    );
  if (code !== 'EADDRINUSE') throw new Error(`HOST ${host} cannot be listened on (${code}).`);
  const holder = portHolder(port);
  if (holder === null)
    throw new Error(
      `Port ${port} of ${host} is in use: end the program that has it, or choose another: ${start}`,
    );
  const { pid, command } = holder;
  if (!/\/apps\/(?:api|worker)\/src\/main\.(?:js|ts)/.test(command))
    throw new Error(
      `Port ${port} of ${host} is in use by process ${pid} (${command.slice(0, 120)}): end it, or choose another port: ${start}`,
    );
  throw new Error(
    `Port ${port} of ${host} is in use by a Graft that runs already (process ${pid}): ` +
      `stop it with \`kill ${supervisorOf(pid)}\`, or choose another port and data folder: ${setting}=${port + 1} GRAFT_DATA_DIR=./data-2 npm start`,
  );
}

/** The code of the error of listening there; null: it can be done. */
function listenFault(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'unknown'));
    server.listen(port, host, () => server.close(() => resolve(null)));
  });
}

/** The process that listens on a TCP port of this machine; null: none, or one of another user. */
function portHolder(port: number): Holder | null {
  try {
    const pid = process.platform === 'linux' ? listenerOnLinux(port) : listenerByLsof(port);
    return pid === null ? null : { pid, command: commandOf(pid) };
  } catch {
    return null;
  }
}

function listenerOnLinux(port: number): number | null {
  const inodes = new Set<string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readFileSync(table, 'utf8').split('\n').slice(1)) {
      // Number, local address:port, remote one, state (0A listens), five fields, the socket's inode.
      const fields = line.trim().split(/\s+/);
      if (fields[3] === '0A' && Number.parseInt(fields[1]!.split(':')[1]!, 16) === port)
        inodes.add(fields[9]!);
    }
  }
  for (const entry of readdirSync('/proc')) {
    if (/^\d+$/.test(entry) && socketsOf(entry).some((inode) => inodes.has(inode))) return Number(entry);
  }
  return null;
}

/** Inodes of a process's sockets; none where it has ended or is another user's. */
function socketsOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

function listenerByLsof(port: number): number | null {
  const found = execFileSync('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-t'], { encoding: 'utf8' });
  return Number(found.split('\n')[0]) || null;
}

const ps = (column: string, pid: number) =>
  execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8' }).trim();

function commandOf(pid: number): string {
  if (process.platform !== 'linux') return ps('command', pid);
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
}

/** Parent of Graft's API or worker that starts it again when it dies, where there is one. */
function supervisorOf(pid: number): number {
  const parent =
    process.platform === 'linux'
      ? Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
      : Number(ps('ppid', pid));
  return parent > 1 && /scripts\/start\/main/.test(commandOf(parent)) ? parent : pid;
}
