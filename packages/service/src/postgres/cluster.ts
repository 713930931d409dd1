import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import type { Logger } from 'pino';
import { dataFolder } from '../data-folder/data-folder.ts';
import { connectionOptions } from '../database/connection-options.ts';
import { commandName, processIdentity } from '../process-identity.ts';
import { locatePostgresBinaries } from './postgres-binaries.ts';
import { chooseUser, placeBinaries, placeCluster, type RunAs } from './run-as.ts';

/** A database cluster and its server; <folder>/server.json holds its port and password. */
export interface Cluster {
  folder: string;
  /** PGDATA. */
  dataFolder: string;
  /** Folder with bin, lib and share. */
  native: string;
  user: RunAs;
  port: number;
  password: string;
}

export interface Postmaster {
  pid: number;
  /** See `processIdentity`. */
  identity: string;
  /** True where the server was already running, started by another process or by one that died. */
  adopted: boolean;
}

const superuser = 'graft';

export function clusterUrl(cluster: Pick<Cluster, 'port' | 'password'>, database: string): string {
  return `postgresql://${superuser}:${cluster.password}@127.0.0.1:${cluster.port}/${database}`;
}

/** Opens the cluster of a folder, creating it on the first call. Call this and the functions below under the folder's lock. */
export async function openCluster(folder: string, log: Logger): Promise<Cluster> {
  const user = await chooseUser();
  const native = await placeBinaries(await locatePostgresBinaries(), user);
  const dataFolder = placeCluster(folder, user);
  const settings = path.join(folder, 'server.json');
  let exists = existsSync(path.join(dataFolder, 'PG_VERSION'));
  if (exists && !existsSync(settings)) {
    // A cluster inside the folder belongs to it: server.json was lost.
    if (path.dirname(dataFolder).startsWith(folder) || !isFresh(folder)) {
      throw new Error(
        `${dataFolder} holds a database, but ${settings}, which holds its password, is gone: put it back, or move the database away.`,
      );
    }
    const running = serverOf(dataFolder);
    if (running) await stopPostmaster(running);
    const place = await setAside(dataFolder);
    log.warn(
      `${folder} is new: the database of the data folder that was there before is set aside in ${place}`,
    );
    exists = false;
  }
  if (!exists) {
    const cluster = {
      folder,
      dataFolder,
      native,
      user,
      port: await freePort(),
      password: randomBytes(24).toString('hex'),
    };
    await initialise(cluster);
    return cluster;
  }
  const { port, password } = JSON.parse(readFileSync(settings, 'utf8')) as { port: number; password: string };
  return { folder, dataFolder, native, user, port, password };
}

function saveSettings(cluster: Cluster): void {
  const draft = path.join(cluster.folder, 'server.json');
  writeFileSync(draft, JSON.stringify({ port: cluster.port, password: cluster.password }), { mode: 0o600 });
}

/**
 * Runs initdb in a temporary folder and renames it, so that an interrupted start leaves no partial cluster. Omits fsync, which takes up to
 * half a minute on a slow disk: a power failure in that time can only cost an empty database.
 */
async function initialise(cluster: Cluster): Promise<void> {
  const { user, dataFolder } = cluster;
  const draft = `${dataFolder}.new`;
  await rm(draft, { recursive: true, force: true });
  const passwordFile = `${dataFolder}.password`;
  rmSync(passwordFile, { force: true });
  writeFileSync(passwordFile, `${cluster.password}\n`, { mode: 0o600 });
  if (user.uid !== undefined) chownSync(passwordFile, user.uid, user.gid!);
  try {
    await promisify(execFile)(
      path.join(cluster.native, 'bin', 'initdb'),
      [
        '-D',
        draft,
        '-U',
        superuser,
        '-A',
        'scram-sha-256',
        `--pwfile=${passwordFile}`,
        '-E',
        'UTF8',
        '--locale=C',
        '--no-sync',
      ],
      { env: serverEnvironment(), cwd: '/', ...user },
    );
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`Postgres could not make its database folder: ${stderr || (error as Error).message}`);
  } finally {
    rmSync(passwordFile, { force: true });
  }
  saveSettings(cluster);
  await rename(draft, dataFolder);
}

/** Returns only what the binaries need: the user's PG* variables would change their behaviour. */
function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
}

/**
 * Ensures that the server runs and accepts connections: adopts a running one, recovers a killed one. Changes `cluster.port` if another
 * program uses the port.
 */
export async function ensurePostmaster(cluster: Cluster): Promise<Postmaster> {
  const found = await adopt(cluster);
  if (found) return found;
  if (!(await isFree(cluster.port))) {
    cluster.port = await freePort();
    saveSettings(cluster);
  }
  for (const end = performance.now() + 60_000; ; await sleep(250)) {
    const outcome = await start(cluster);
    if (typeof outcome !== 'string') return outcome;
    // Child processes of a killed server hold its shared memory for a moment longer.
    if (!/shared memory block|lock file/.test(outcome) || performance.now() > end) {
      throw new Error(`Postgres did not start: ${outcome.trim()}`);
    }
  }
}

/** Returns the server that runs on a data folder; null if there is none. */
function serverOf(dataFolder: string): { pid: number; identity: string; port: number } | null {
  const lockFile = path.join(dataFolder, 'postmaster.pid');
  if (!existsSync(lockFile)) return null;
  // Lines: pid, data folder, start time, port, …
  const lines = readFileSync(lockFile, 'utf8').split('\n');
  const pid = Number(lines[0]);
  const identity = processIdentity(pid);
  if (identity !== null && commandName(pid) === 'postgres') return { pid, identity, port: Number(lines[3]) };
  // The machine or the server crashed. Postgres itself refuses to start if a zombie or another process has the pid.
  rmSync(lockFile, { force: true });
  return null;
}

async function adopt(cluster: Cluster): Promise<Postmaster | null> {
  const running = serverOf(cluster.dataFolder);
  if (!running) return null;
  const { pid, identity, port } = running;
  if (port > 0) cluster.port = port;
  for (const end = performance.now() + 60_000; performance.now() < end; await sleep(50)) {
    if (await answers(cluster)) return { pid, identity, adopted: true };
    if (processIdentity(pid) !== identity) return await adopt(cluster);
  }
  throw new Error(`Postgres (process ${pid}) runs on ${cluster.dataFolder} but does not answer.`);
}

/** Returns the server, or its log output if it ended early. */
async function start(cluster: Cluster): Promise<Postmaster | string> {
  const logFile = path.join(cluster.folder, 'postgres.log');
  if (existsSync(logFile) && statSync(logFile).size > 5 * 2 ** 20) rmSync(logFile);
  const log = openSync(logFile, 'a', 0o600);
  const logStart = statSync(logFile).size;
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'max_connections=200',
    'shared_buffers=64MB',
  ];
  const child = spawn(
    path.join(cluster.native, 'bin', 'postgres'),
    ['-D', cluster.dataFolder, '-p', String(cluster.port), ...settings.flatMap((setting) => ['-c', setting])],
    // A separate process group, so that Ctrl-C does not reach it before API and worker have drained. The log is a file, because a pipe
    // would break when this process ends.
    { env: serverEnvironment(), cwd: '/', ...cluster.user, detached: true, stdio: ['ignore', log, log] },
  );
  closeSync(log);
  child.unref();
  let ended = false;
  child.once('exit', () => {
    ended = true;
  });
  child.once('error', () => {
    ended = true;
  });
  for (const end = performance.now() + 60_000; !ended && performance.now() < end; await sleep(25)) {
    if (!(await answers(cluster))) continue;
    const identity = child.pid === undefined ? null : processIdentity(child.pid);
    if (identity !== null) return { pid: child.pid!, identity, adopted: false };
  }
  return readFileSync(logFile).subarray(logStart).toString('utf8').slice(-2000);
}

async function answers(cluster: Cluster): Promise<boolean> {
  const client = new pg.Client({
    ...connectionOptions(clusterUrl(cluster, 'postgres'), 'graft'),
    connectionTimeoutMillis: 2_000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return true;
  } catch (error) {
    // 28P01: another server, or another password; with any other error the server is still starting or unavailable.
    if ((error as { code?: string }).code === '28P01') {
      throw new Error(
        `Postgres on port ${cluster.port} does not take the password of ${cluster.folder}/server.json.`,
      );
    }
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

export async function ensureDatabase(cluster: Cluster, name: string): Promise<void> {
  const client = new pg.Client(connectionOptions(clusterUrl(cluster, 'postgres'), 'graft'));
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (!rowCount) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}

/** Stops the server with a fast shutdown, which ends sessions and writes everything; after 20 s with an immediate one. */
export async function stopPostmaster({ pid, identity }: Pick<Postmaster, 'pid' | 'identity'>): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    if (processIdentity(pid) !== identity) return;
    process.kill(pid, signal);
    for (const end = performance.now() + 20_000; performance.now() < end; await sleep(20)) {
      if (processIdentity(pid) !== identity) return;
    }
  }
}

async function freePort(): Promise<number> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/**
 * Returns whether nothing was ever stored here: the folder of Postgres contains only what taking its lock creates, and there is no data
 * beside it. In this case a cluster elsewhere belongs to a deleted data folder of the same path.
 */
function isFresh(folder: string): boolean {
  const kept = readdirSync(folder).filter((name) => name !== 'holders' && !/^lock(\.|$)/.test(name));
  // Folders that every Graft that has run keeps beside its Postgres.
  const { secrets, files, artifacts } = dataFolder(path.dirname(folder));
  return kept.length === 0 && ![secrets, files, artifacts].some((sibling) => existsSync(sibling));
}

/** Renames a stopped cluster, so that another one can be created in its place. Returns its new path. */
async function setAside(dataFolder: string): Promise<string> {
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const place = `${dataFolder}.${time}`;
  await rename(dataFolder, place);
  return place;
}
