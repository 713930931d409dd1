import pg from 'pg';
import { type Behalf, currentBehalf } from './on-behalf-of.ts';
import { workerRole } from './worker-grants.ts';

/** Of whose roles a process is: a worker's may do less than those of API and operators. */
export type DatabaseRole = 'api' | 'worker';

type Checkout = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: Error | boolean) => void,
) => void;

/** A statement's own limit, in milliseconds, which covers the switch before it. */
interface Limited {
  query_timeout?: number;
}

/** What this uses of pg's pool beyond its types: those that are free, the last of which is taken next. */
interface Inner {
  _idle: { client: pg.PoolClient }[];
}

/** One switch in so many opens a connection instead, while there may be more: busy pools soon have the right ones. */
const switchesPerOpening = 16;

/**
 * A pool whose connections are handed out under the role and the team for whom the caller runs; where nobody has said for whom,
 * `unsaid`. A connection remembers what was last set on it, so that only a change costs a round trip, and an idle one that is right
 * already is taken before others. One whose switch failed is closed: none is ever used for another team than asked for.
 */
export class FencedPool extends pg.Pool {
  readonly #unsaid: Behalf;
  /** What is set on a connection. Not here: not known. */
  readonly #set = new WeakMap<pg.PoolClient, string>();
  /** The statement that `query` is about to ask a connection for. */
  #statement: Limited | undefined;
  #switches = 0;

  readonly #process: DatabaseRole;
  readonly #system: string;

  constructor(config: pg.PoolConfig, unsaid: Behalf, process: DatabaseRole = 'api') {
    super(config);
    this.#unsaid = unsaid;
    this.#process = process;
    this.#system = settingsOf('system', process);
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Checkout): void;
  override connect(callback?: Checkout): Promise<pg.PoolClient> | undefined {
    const wanted = settingsOf(currentBehalf() ?? this.#unsaid, this.#process);
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
    // `connect` is called before this returns.
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
      // The server has no more: one of ours will do.
      if ((error as { code?: string } | undefined)?.code === '53300') super.connect(use);
      else use(error, client, done);
    });
    inner._idle = idle;
  }

  /** Simple queries, the cheapest there are; both are done or neither. */
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
   * Puts the best of the idle connections where the pool takes the next one from; another may be taken all the same, and is switched
   * then. True: better open one.
   */
  #prefer(wanted: string): boolean {
    const { _idle: idle } = this as unknown as Inner;
    const last = idle.length - 1;
    let found = idle.findLastIndex(({ client }) => this.#set.get(client) === wanted);
    if (found === -1 && last >= 0) {
      const mayGrow = this.totalCount < (this.options.max ?? 10);
      if (mayGrow && ++this.#switches % switchesPerOpening === 0) return true;
      // A key is checked for every request: those that do that stay.
      found = idle.findIndex(({ client }) => this.#set.get(client) !== this.#system);
    }
    if (found !== -1 && found !== last) idle.push(...idle.splice(found, 1));
    return false;
  }
}

/** SQL that sets the role, and `graft.team_id`, which policies compare with. No team has the empty id. */
function settingsOf(behalf: Behalf, process: DatabaseRole): string {
  if (behalf === 'owner') return "SET ROLE NONE; SET graft.team_id = ''";
  if (typeof behalf === 'object')
    return `SET ROLE ${roleOf(process, 'team')}; SET graft.team_id = ${pg.escapeLiteral(behalf.team)}`;
  return `SET ROLE ${roleOf(process, behalf === 'system' ? 'system' : 'team')}; SET graft.team_id = '${behalf === 'nobody' ? nobody : ''}'`;
}

/** No team has this id; to a worker's role the empty one means all teams. */
const nobody = '-';

/** What the sessions of a process begin as, and become. */
export function roleOf(process: DatabaseRole, part: 'team' | 'system'): string {
  return process === 'worker' ? workerRole : `graft_${part}`;
}
