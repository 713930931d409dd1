import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { GraftClient } from '@graft/client';
import { freePort, graftEnvironment } from '../../test/service/running-graft.ts';
import { Member } from './services/member.ts';
import { PrivatePostgres } from './services/private-postgres.ts';
import { PrivateRedis } from './services/private-redis.ts';
import { TcpProxy } from './services/tcp-proxy.ts';
import { mountTmpfs } from './services/tmpfs.ts';
import type { Timings } from './timings.ts';
import { type WorkloadFiles, writeWorkload } from './workload.ts';

const root = path.resolve(import.meta.dirname, '../..');

export interface RigOptions {
  /** Logs, data, Postgres and Redis of this run. */
  folder: string;
  queue: 'postgres' | 'redis';
  timings: Timings;
  workers: number;
  /** Puts the data folder on a separate file system of this size. */
  dataFolderMib: number | undefined;
}

/** A process with a separate proxy to each server, so that it alone can be cut off. */
export interface WiredMember extends Member {
  postgres: TcpProxy;
  redis: TcpProxy | null;
}

export interface WorkerOptions {
  env?: Record<string, string>;
  flags?: string[];
  wrapper?: string[];
  /** The address of this machine as the process sees it. Default 127.0.0.1. */
  host?: string;
  /** False: does not wait until it is ready, since it may never be. */
  ready?: boolean;
}

export interface Team {
  id: string;
  key: string;
  client: GraftClient;
}

/** A complete private Graft: servers, API and workers, two teams. The caller that opens it closes it. */
export class Rig {
  readonly options: RigOptions;
  readonly postgres: PrivatePostgres;
  readonly redis: PrivateRedis | null;
  readonly dataFolder: string;
  readonly files: WorkloadFiles;
  readonly apiPort: number;
  api!: WiredMember;
  /** Members of both teams, by kind: `team` runs the load, `other` is the neighbour. */
  team!: Team;
  other!: Team;
  workers: WiredMember[] = [];
  /** Members that were removed: their crashes count too. */
  readonly #left: Member[] = [];
  #operator!: GraftClient;
  #started = 0;
  #unmount = () => {};

  static async open(options: RigOptions): Promise<Rig> {
    mkdirSync(options.folder, { recursive: true });
    const at = (name: string) => path.join(options.folder, name);
    const postgres = await PrivatePostgres.start(at('postgres'));
    const redis = options.queue === 'redis' ? await PrivateRedis.start(at('redis')) : null;
    const rig = new Rig(options, postgres, redis, await writeWorkload(at('workload')), await freePort());
    await rig.#openGraft();
    return rig;
  }

  private constructor(
    options: RigOptions,
    postgres: PrivatePostgres,
    redis: PrivateRedis | null,
    files: WorkloadFiles,
    apiPort: number,
  ) {
    this.options = options;
    this.postgres = postgres;
    this.redis = redis;
    this.files = files;
    this.apiPort = apiPort;
    this.dataFolder = path.join(options.folder, 'data');
    if (options.dataFolderMib !== undefined)
      this.#unmount = mountTmpfs(this.dataFolder, options.dataFolderMib);
  }

  get url(): string {
    return `http://127.0.0.1:${this.apiPort}/v1`;
  }

  get timings(): Timings {
    return this.options.timings;
  }

  /** The proxies of all members, for faults of the whole network. */
  get postgresProxies(): TcpProxy[] {
    return [this.api, ...this.workers].map(({ postgres }) => postgres);
  }

  /** A new team, and a client with a key of it. */
  async addTeam(name: string): Promise<Team> {
    const { teams } = this.#operator.admin;
    const { id } = await teams.create({ name, running_limit: 64 });
    const { key } = await teams.createKey(id, { name: 'chaos' });
    return { id, key, client: new GraftClient({ baseUrl: this.url, apiKey: key, timeout: 20_000 }) };
  }

  async startWorker(options: WorkerOptions = {}): Promise<WiredMember> {
    const worker = await this.#member(
      'worker',
      new URL('../../apps/worker/src/main.ts', import.meta.url),
      options,
    );
    this.workers.push(worker);
    if (options.ready !== false) await worker.ready();
    return worker;
  }

  /** Stops a worker: SIGTERM, or immediately. */
  async removeWorker(worker: WiredMember, how: 'drain' | 'kill' = 'drain'): Promise<void> {
    this.workers = this.workers.filter((other) => other !== worker);
    this.#left.push(worker);
    if (how === 'drain') await worker.stop();
    else worker.kill();
    await worker.postgres.close();
    await worker.redis?.close();
  }

  /** Undoes all faults: every server up, every proxy open, the initial number of plain workers, all ready. */
  async heal(): Promise<void> {
    await this.postgres.start();
    await this.postgres.setReadOnly(false);
    if (this.redis && !(await this.redis.answers())) await this.redis.start();
    for (const { postgres, redis } of [this.api, ...this.workers]) {
      postgres.restore();
      redis?.restore();
    }
    for (const member of [this.api, ...this.workers]) member.signalAll('SIGCONT');
    while (this.workers.length < this.options.workers) await this.startWorker();
    for (const worker of this.workers.slice(this.options.workers)) await this.removeWorker(worker);
    await Promise.all([this.api, ...this.workers].map((member) => member.ready()));
  }

  /** Unexpected exits of processes since the last call. */
  takeCrashes(): string[] {
    return [this.api, ...this.workers, ...this.#left].flatMap((member) => member.crashes.splice(0));
  }

  async close(): Promise<void> {
    for (const member of [this.api, ...this.workers]) member?.kill();
    for (const { postgres, redis } of [this.api, ...this.workers].filter(Boolean)) {
      await postgres.close();
      await redis?.close();
    }
    await this.redis?.close();
    await this.postgres.close();
    this.#unmount();
  }

  async #openGraft(): Promise<void> {
    // Makes the schema, too.
    const operatorKey = await bootstrap(this.#environment({ DATABASE_URL: this.postgres.url }));
    this.#operator = new GraftClient({ baseUrl: this.url, apiKey: operatorKey });
    this.api = await this.#member('api', new URL('../../apps/api/src/main.ts', import.meta.url), {
      env: { PORT: String(this.apiPort) },
    });
    const workers = Array.from({ length: this.options.workers }, () => this.startWorker());
    await Promise.all([this.api.ready(), ...workers]);
    this.team = await this.addTeam('acme');
    this.other = await this.addTeam('neighbour');
  }

  async #member(kind: 'api' | 'worker', entry: URL, options: WorkerOptions): Promise<WiredMember> {
    const { host = '127.0.0.1', env = {}, flags, wrapper } = options;
    const postgres = await TcpProxy.open({ host: '127.0.0.1', port: this.postgres.port }, host);
    const redis = this.redis && (await TcpProxy.open({ host: '127.0.0.1', port: this.redis.port }, host));
    const database = new URL(this.postgres.url);
    database.host = `${host}:${postgres.port}`;
    const name = kind === 'api' ? 'api' : `worker-${++this.#started}`;
    const member = new Member({
      name,
      entry,
      log: path.join(this.options.folder, `${name}.log`),
      env: this.#environment({
        DATABASE_URL: database.href,
        REDIS_URL: redis ? `redis://${host}:${redis.port}` : undefined,
        ...env,
      }),
      ...(flags && { flags }),
      ...(wrapper && { wrapper }),
    });
    return Object.assign(member, { postgres, redis });
  }

  #environment(settings: Record<string, string | undefined>): NodeJS.ProcessEnv {
    const { lease, heartbeat, sweep } = this.timings;
    return graftEnvironment({
      GRAFT_DATA_DIR: this.dataFolder,
      GRAFT_BASE_MODELS: this.files.baseModels,
      GRAFT_TENSORFLOW: 'cpu',
      GRAFT_LEASE_SECONDS: String(lease),
      GRAFT_HEARTBEAT_SECONDS: String(heartbeat),
      GRAFT_SWEEP_SECONDS: String(sweep),
      LOG_LEVEL: 'info',
      // A disk that is small from the start is no fault.
      ...(this.options.dataFolderMib !== undefined && { GRAFT_MIN_FREE_BYTES: '0' }),
      ...settings,
    });
  }
}

/** A key of the operator, by the command on the rig's database. */
async function bootstrap(env: NodeJS.ProcessEnv): Promise<string> {
  const args = [path.join(root, 'apps/cli/bin/graft.mjs'), 'admin', 'bootstrap'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, cwd: root });
  return stdout.trim();
}
