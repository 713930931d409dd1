import { AsyncResource } from 'node:async_hooks';
import pg from 'pg';
import { currentScope, type DatabaseScope, isReader } from './database-scope.ts';
import { workerRole } from './worker-grants.ts';

/** Kind of process: workers have fewer privileges than API and operators. */
export type DatabaseRole = 'api' | 'worker';

type Checkout = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: Error | boolean) => void,
) => void;

/** Timeout of a statement in milliseconds, which includes the switch before it. */
interface Limited {
  query_timeout?: number;
}

/** Internals of pg's pool that this class uses: the idle connections, of which the pool takes the last one next. */
interface Inner {
  _idle: { client: pg.PoolClient }[];
}

/** Connections that only readers use (`withReaderConnections`): they never wait until one that may write, and wait for locks, is done. */
const keptForReaders = 3;

/** One in this number of switches opens a new connection instead, if the pool is not full: busy pools soon have suitable connections. */
const switchesPerOpening = 16;

/**
 * A pool that sets the role and team of the caller (`currentScope`, by default `defaultScope`) on each connection it hands out. It remembers
 * what was last set on a connection, so only a change costs a round trip, and prefers idle connections that already match. A connection
 * whose switch failed is closed, so none is ever used for the wrong team. In the API all work but that of readers shares the connections
 * that are not kept for them.
 */
export class FencedPool extends pg.Pool {
  readonly #defaultScope: DatabaseScope;
  /** Current settings of each connection; a missing entry means unknown. */
  readonly #set = new WeakMap<pg.PoolClient, string>();
  /** The statement for which `query` is about to take a connection. */
  #statement: Limited | undefined;
  #switches = 0;

  /** Connections that work other than readers' holds or has requested, and their maximum. */
  #writing = 0;
  readonly #mostWriting: number;
  readonly #writers = new WeakSet<pg.PoolClient>();
  /** Starts of work that waits for one of them, in order. */
  readonly #waiting: (() => void)[] = [];

  readonly #process: DatabaseRole;
  readonly #system: string;

  constructor(config: pg.PoolConfig, defaultScope: DatabaseScope, process: DatabaseRole = 'api') {
    super(config);
    this.#defaultScope = defaultScope;
    this.#process = process;
    this.#system = settingsOf('system', process);
    const most = this.options.max ?? 10;
    this.#mostWriting = process === 'worker' ? most : Math.max(1, most - keptForReaders);
    this.on('release', (_, client) => {
      if (this.#writers.delete(client)) this.#endWriting();
    });
  }

  /** Work that waits for a connection which is not kept for readers; `waitingCount` has the rest. */
  get waitingWriters(): number {
    return this.#waiting.length;
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Checkout): void;
  override connect(callback?: Checkout): Promise<pg.PoolClient> | undefined {
    const wanted = settingsOf(currentScope() ?? this.#defaultScope, this.#process);
    const statement = this.#statement;
    const connect = isReader()
      ? (checkout: Checkout) => this.#connectAs(wanted, statement, checkout)
      : (checkout: Checkout) => this.#connectWriter(wanted, statement, checkout);
    if (callback) {
      connect(callback);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      connect((error, client) => (client ? resolve(client) : reject(error)));
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: as many forms as pg has
  override query(first: any, ...rest: any[]): any {
    const isLimited = typeof first === 'object' && first.query_timeout !== undefined;
    const statement = isLimited ? { ...first } : first;
    // `super.query` calls `connect` synchronously.
    this.#statement = isLimited ? statement : undefined;
    try {
      return (super.query as (...all: unknown[]) => unknown).call(this, statement, ...rest);
    } finally {
      this.#statement = undefined;
    }
  }

  /** As `#connectAs`, when fewer than the maximum of such connections are in use; an error after the time in which the pool must connect. */
  #connectWriter(wanted: string, statement: Limited | undefined, callback: Checkout): void {
    const start = () => {
      this.#writing++;
      this.#connectAs(wanted, statement, (error, client, done) => {
        if (client) this.#writers.add(client);
        else this.#endWriting();
        callback(error, client, done);
      });
    };
    if (this.#writing < this.#mostWriting) {
      start();
      return;
    }
    // Called later by the work that releases a connection, whose context is another team's.
    const inThisContext = AsyncResource.bind(start);
    const expire = () => {
      this.#waiting.splice(this.#waiting.indexOf(begin), 1);
      callback(new Error('timeout exceeded when trying to connect'), undefined, () => {});
    };
    const { connectionTimeoutMillis: ms } = this.options;
    const late = ms ? setTimeout(expire, ms) : undefined;
    const begin = () => {
      clearTimeout(late);
      inThisContext();
    };
    this.#waiting.push(begin);
  }

  #endWriting(): void {
    this.#writing--;
    this.#waiting.shift()?.();
  }

  #connectAs(wanted: string, statement: Limited | undefined, callback: Checkout): void {
    const use: Checkout = (error, client, done) => {
      if (error || !client || this.#set.get(client) === wanted) return callback(error, client, done);
      this.#switch(client, wanted, statement, (fault) => {
        if (!fault) return callback(undefined, client, done);
        client.release(fault);
        callback(fault, undefined, () => {});
      });
    };
    if (!this.#prefer(wanted)) {
      super.connect(use);
      return;
    }
    const inner = this as unknown as Inner;
    const idle = inner._idle;
    inner._idle = [];
    super.connect((error, client, done) => {
      // The server has no free connections: use an existing one.
      if ((error as { code?: string } | undefined)?.code === '53300') super.connect(use);
      else use(error, client, done);
    });
    inner._idle = idle;
  }

  /** Sends the settings as one simple query, the cheapest kind, which applies both or neither. */
  #switch(
    client: pg.PoolClient,
    wanted: string,
    statement: Limited | undefined,
    callback: (fault?: Error) => void,
  ): void {
    this.#set.delete(client);
    const start = performance.now();
    const limit = statement?.query_timeout;
    const switching = { text: wanted, ...(limit === undefined ? {} : { query_timeout: limit }) };
    client.query(switching, (fault: Error | null) => {
      if (fault) return callback(fault);
      this.#set.set(client, wanted);
      if (statement && limit !== undefined)
        statement.query_timeout = Math.max(1, limit - (performance.now() - start));
      callback();
    });
  }

  /**
   * Moves the best idle connection to the position that the pool takes next. The pool may still hand out another one, which is then
   * switched. Returns true if opening a new connection is better.
   */
  #prefer(wanted: string): boolean {
    const { _idle: idle } = this as unknown as Inner;
    const last = idle.length - 1;
    let found = idle.findLastIndex(({ client }) => this.#set.get(client) === wanted);
    if (found === -1 && last >= 0) {
      const canGrow = this.totalCount < (this.options.max ?? 10);
      if (canGrow && ++this.#switches % switchesPerOpening === 0) return true;
      // Every request first checks its key as the system role: keep the connections with that role.
      found = idle.findIndex(({ client }) => this.#set.get(client) !== this.#system);
    }
    if (found !== -1 && found !== last) idle.push(...idle.splice(found, 1));
    return false;
  }
}

/** Returns the SQL that sets the role and `graft.team_id`, with which policies compare. No team has the empty id. */
function settingsOf(behalf: DatabaseScope, process: DatabaseRole): string {
  if (behalf === 'owner') return "SET ROLE NONE; SET graft.team_id = ''";
  if (typeof behalf === 'object')
    return `SET ROLE ${roleOf(process, 'team')}; SET graft.team_id = ${pg.escapeLiteral(behalf.team)}`;
  return `SET ROLE ${roleOf(process, behalf === 'system' ? 'system' : 'team')}; SET graft.team_id = '${behalf === 'nobody' ? nobody : ''}'`;
}

/** Matches no team. To a worker's role the empty id means all teams. */
const nobody = '-';

export function roleOf(process: DatabaseRole, part: 'team' | 'system'): string {
  return process === 'worker' ? workerRole : `graft_${part}`;
}
