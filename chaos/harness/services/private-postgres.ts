import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@graft/service/logger';
import pg from 'pg';
import {
  type Cluster,
  clusterUrl,
  ensureDatabase,
  ensurePostmaster,
  openCluster,
} from '../../../packages/service/src/postgres/cluster.ts';
import { signalProcess, undoAtExit } from './started.ts';

const database = 'graft';

/** A Postgres server for this run, from the binaries that npm installs. Port, data and log are private. */
export class PrivatePostgres {
  readonly #cluster: Cluster;
  #pid: number;
  #sql: pg.Client | null = null;
  #undo: () => void;

  static async start(folder: string): Promise<PrivatePostgres> {
    mkdirSync(folder, { recursive: true });
    // The server may run as another user, who must be able to reach its folder.
    chmodSync(folder, 0o755);
    const cluster = await openCluster(folder, createLogger({ level: 'silent', name: 'chaos' }));
    const { pid } = await ensurePostmaster(cluster);
    await ensureDatabase(cluster, database);
    return new PrivatePostgres(cluster, pid);
  }

  private constructor(cluster: Cluster, pid: number) {
    this.#cluster = cluster;
    this.#pid = pid;
    this.#undo = undoAtExit(() => signalProcess(this.#pid, 'SIGQUIT'));
  }

  get url(): string {
    return clusterUrl(this.#cluster, database);
  }

  get port(): number {
    return this.#cluster.port;
  }

  get logFile(): string {
    return path.join(this.#cluster.folder, 'postgres.log');
  }

  /** The harness's own connection, past every proxy. It reconnects after a loss. */
  async query<Row extends object>(sql: string, values: unknown[] = []): Promise<Row[]> {
    for (let attempt = 0; ; attempt++) {
      try {
        return (await (await this.#connection()).query<Row>(sql, values)).rows;
      } catch (error) {
        const lost = this.#sql === null || !/^[0-4]|^P/.test((error as { code?: string }).code ?? '');
        if (!lost || attempt >= 100) throw error;
        this.#sql = null;
        await sleep(100);
      }
    }
  }

  /** `fast` ends sessions and writes a checkpoint, `immediate` acts like a power failure. */
  async stop(mode: 'fast' | 'immediate'): Promise<void> {
    signalProcess(this.#pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    const deadline = performance.now() + 60_000;
    while (signalProcess(this.#pid, 0 as unknown as NodeJS.Signals)) {
      if (performance.now() > deadline) throw new Error('Postgres does not stop');
      await sleep(20);
    }
  }

  async start(): Promise<void> {
    this.#pid = (await ensurePostmaster(this.#cluster)).pid;
  }

  /** Ends sessions of the services by pg_terminate_backend. Resolves to how many. */
  async terminateBackends(fraction = 1): Promise<number> {
    const rows = await this.query<object>(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = $1 AND pid <> pg_backend_pid() AND random() < $2`,
      [database, fraction],
    );
    return rows.length;
  }

  /** Makes new transactions of all other sessions read-only, as on a standby after a failover. */
  async setReadOnly(on: boolean): Promise<void> {
    await this.query('SET default_transaction_read_only = off');
    await this.query(
      `ALTER SYSTEM ${on ? 'SET default_transaction_read_only = on' : 'RESET default_transaction_read_only'}`,
    );
    await this.query('SELECT pg_reload_conf()');
  }

  /** Occupies every connection that the server allows and ends all others. The returned function releases them. */
  async takeAllConnections(): Promise<() => Promise<void>> {
    const taken: pg.Client[] = [];
    let full = false;
    const take = async () => {
      const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 5_000 });
      client.on('error', () => {});
      try {
        await client.connect();
        taken.push(client);
      } catch {
        full = true;
      }
    };
    await this.query('SELECT 1');
    for (let pass = 0; pass < 3; pass++) {
      full = false;
      while (!full) await Promise.all(Array.from({ length: 10 }, take));
      await this.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> ALL ($2) AND pid <> pg_backend_pid()',
        [database, taken.map((client) => (client as unknown as { processID: number }).processID)],
      );
    }
    return async () => {
      await Promise.all(taken.map((client) => client.end().catch(() => {})));
    };
  }

  async close(): Promise<void> {
    await this.#sql?.end().catch(() => {});
    await this.stop('fast').catch(() => {});
    this.#undo();
    // Not the log, which is beside it.
    rmSync(this.#cluster.dataFolder, { recursive: true, force: true });
  }

  async #connection(): Promise<pg.Client> {
    if (this.#sql) return this.#sql;
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 5_000 });
    client.on('error', () => {
      if (this.#sql === client) this.#sql = null;
    });
    await client.connect();
    await client.query('SET default_transaction_read_only = off');
    this.#sql = client;
    return client;
  }
}
