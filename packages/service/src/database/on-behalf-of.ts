import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * For whom code runs. It decides which rows Postgres shows: a team's, all, or none of any team
 * (docs/decisions/0012-row-level-security.md). `owner` is the login of the URL without a role switch: for tests only.
 */
export type Behalf = { team: string } | 'system' | 'nobody' | 'owner';

const spoken = new AsyncLocalStorage<Behalf>();

/** Undefined: code runs outside of `asTeam` and `asSystem`. */
export function currentBehalf(): Behalf | undefined {
  return spoken.getStore();
}

/**
 * Runs `work` for a team: it reads and writes only that team's rows. This is the second safeguard behind each query's own `WHERE team_id`.
 * Code that a queue, a stream or a timer runs later does not inherit the setting: set it again there.
 */
export async function asTeam<T>(teamId: string, work: () => T | PromiseLike<T>): Promise<T> {
  if (!/^[\w-]{1,100}$/.test(teamId)) throw new Error('asTeam needs the id of a team');
  return await onBehalfOf({ team: teamId }, work);
}

/** Runs `work` for all teams: loops, sweeps, key checks, operator actions. Within a request, keep such work small. */
export async function asSystem<T>(work: () => T | PromiseLike<T>): Promise<T> {
  return await onBehalfOf('system', work);
}

/** As `asTeam` and `asSystem`, but calls `work` synchronously. */
export async function onBehalfOf<T>(behalf: Behalf, work: () => T | PromiseLike<T>): Promise<T> {
  // Awaited inside `run`, because Prisma starts a query only when it is awaited.
  return await spoken.run(behalf, async () => await work());
}
