import pg from 'pg';
import { type Behalf, currentBehalf } from './on-behalf-of.ts';
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

/** One in this number of switches opens a new connection instead, if the pool is not full: busy pools soon have suitable connections. */
const switchesPerOpening = 16;

/**
 * A pool that sets the role and team of the caller (`currentBehalf`, by default `defaultScope`) on each connection it hands out. It
 * remembers what was last set on a connection, so only a change costs a round trip, and prefers idle connections that already match. A
 * connection whose switch failed is closed, so none is ever used for the wrong team.
 */
export class FencedPool extends pg.Pool {
  readonly #defaultScope: Behalf;
  /** Current settings of each connection; a missing entry means unknown. */
  readonly #set = new WeakMap<pg.PoolClient, string>();
  /** The statement for which `query` is about to take a connection. */
  #statement: Limited | undefined;
  #switches = 0;

  readonly #process: DatabaseRole;
  readonly #system: string;

  constructor(config: pg.PoolConfig, defaultScope: Behalf, process: DatabaseRole = 'api') {
    super(config);
    this.#defaultScope = defaultScope;
    this.#process = process;
    this.#system = settingsOf('system', process);
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Checkout): void;
  override connect(callback?: Checkout): Promise<pg.PoolClient> | undefined {
    const wanted = settingsOf(currentBehalf() ?? this.#defaultScope, this.#process);
    if (callback) {
      this.#connectAs(wanted, callback);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.#connectAs(wanted, (error, client) => (client ? resolve(client) : reject(error)));
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

  #connectAs(wanted: string, callback: Checkout): void {
    const statement = this.#statement;
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
      const mayGrow = this.totalCount < (this.options.max ?? 10);
      if (mayGrow && ++this.#switches % switchesPerOpening === 0) return true;
      // Every request first checks its key as the system role: keep the connections with that role.
      found = idle.findIndex(({ client }) => this.#set.get(client) !== this.#system);
    }
    if (found !== -1 && found !== last) idle.push(...idle.splice(found, 1));
    return false;
  }
}

/** Returns the SQL that sets the role and `graft.team_id`, with which policies compare. No team has the empty id. */
function settingsOf(behalf: Behalf, process: DatabaseRole): string {
  if (behalf === 'owner') return "SET ROLE NONE; SET graft.team_id = ''";
  if (typeof behalf === 'object')
    return `SET ROLE ${roleOf(process, 'team')}; SET graft.team_id = ${pg.escapeLiteral(behalf.team)}`;
  return `SET ROLE ${roleOf(process, behalf === 'system' ? 'system' : 'team')}; SET graft.team_id = '${behalf === 'nobody' ? nobody : ''}'`;
}

/** Matches no team. To a worker's role the empty id means all teams. */
const nobody = '-';

/** Returns the role that sessions of a process use. */
export function roleOf(process: DatabaseRole, part: 'team' | 'system'): string {
  return process === 'worker' ? workerRole : `graft_${part}`;
}
