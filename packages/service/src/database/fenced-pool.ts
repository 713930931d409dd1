import pg from 'pg';
import { type Behalf, currentBehalf } from './on-behalf-of.ts';

type Checkout = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: Error | boolean) => void,
) => void;

/** A statement's own limit, in milliseconds, which covers the switch before it. */
interface Limited {
  query_timeout?: number;
}

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

  constructor(config: pg.PoolConfig, unsaid: Behalf) {
    super(config);
    this.#unsaid = unsaid;
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Checkout): void;
  override connect(callback?: Checkout): Promise<pg.PoolClient> | undefined {
    const behalf = currentBehalf() ?? this.#unsaid;
    if (callback) {
      this.#connectAs(behalf, callback);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.#connectAs(behalf, (error, client) => (client ? resolve(client) : reject(error)));
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

  #connectAs(behalf: Behalf, callback: Checkout): void {
    const wanted = settingsOf(behalf);
    const key = wanted.join(' ');
    const statement = this.#statement;
    this.#prefer(key);
    super.connect((error, client, done) => {
      if (error || !client || this.#set.get(client) === key) return callback(error, client, done);
      this.#set.delete(client);
      const start = performance.now();
      const limit = statement?.query_timeout;
      const switching = {
        name: 'graft_behalf',
        text: "SELECT set_config('role', $1, false), set_config('graft.team_id', $2, false)",
        values: wanted,
        ...(limit === undefined ? {} : { query_timeout: limit }),
      };
      client.query(switching, (fault: Error | null) => {
        if (fault) {
          client.release(fault);
          return callback(fault, undefined, () => {});
        }
        this.#set.set(client, key);
        if (statement && limit !== undefined)
          statement.query_timeout = Math.max(1, limit - (performance.now() - start));
        callback(undefined, client, done);
      });
    });
  }

  /** Puts an idle connection where the pool takes the next one from. Another may be taken all the same: it is switched then. */
  #prefer(key: string): void {
    const { _idle: idle } = this as unknown as { _idle: { client: pg.PoolClient }[] };
    const last = idle.length - 1;
    const found = idle.findLastIndex(({ client }) => this.#set.get(client) === key);
    if (found !== -1 && found !== last) idle.push(...idle.splice(found, 1));
  }
}

/** The role, and `graft.team_id`, which policies of graft_team compare with. No team has the empty id. */
function settingsOf(behalf: Behalf): [role: string, team: string] {
  if (typeof behalf === 'object') return ['graft_team', behalf.team];
  return [{ system: 'graft_system', nobody: 'graft_team', owner: 'none' }[behalf], ''];
}
