import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The scope that code runs in. It decides which rows Postgres shows: those of one team, of all teams, or of none
 * (docs/decisions/0012-row-level-security.md). `owner` is the login of the URL without a role switch: for tests only.
 */
export type DatabaseScope = { team: string } | 'system' | 'nobody' | 'owner';

const scopes = new AsyncLocalStorage<DatabaseScope>();

/** Undefined where code runs outside of `withTeamScope` and `withSystemScope`. */
export function currentScope(): DatabaseScope | undefined {
  return scopes.getStore();
}

/**
 * Runs `work` for a team: it reads and writes only that team's rows. This is the second safeguard behind each query's own `WHERE team_id`.
 * Code that a queue, a stream or a timer runs later does not inherit the setting: set it again there.
 */
export async function withTeamScope<T>(teamId: string, work: () => T | PromiseLike<T>): Promise<T> {
  if (!/^[\w-]{1,100}$/.test(teamId)) throw new Error('withTeamScope needs the id of a team');
  return await withScope({ team: teamId }, work);
}

/** Runs `work` for all teams: loops, sweeps, key checks, operator actions. Within a request, keep such work small. */
export async function withSystemScope<T>(work: () => T | PromiseLike<T>): Promise<T> {
  return await withScope('system', work);
}

const readers = new AsyncLocalStorage<true>();

/** Runs `work`, which only reads, with connections of the pool that are reserved for readers. */
export function withReaderConnections<T>(work: () => T): T {
  return readers.run(true, work);
}

/** Checks whether code runs inside of `withReaderConnections`. */
export function isReader(): boolean {
  return readers.getStore() === true;
}

/** As `withTeamScope` and `withSystemScope`, but calls `work` synchronously. */
export async function withScope<T>(scope: DatabaseScope, work: () => T | PromiseLike<T>): Promise<T> {
  // Awaited inside `run`, because Prisma starts a query only when it is awaited.
  return await scopes.run(scope, async () => await work());
}
