import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * For whom code runs, which decides what Postgres shows it: a team's rows, all rows, or none of any team
 * (docs/decisions/0012-row-level-security.md). `owner` is whoever the URL logs in, of whom nothing is kept: for tests alone.
 */
export type Behalf = { team: string } | 'system' | 'nobody' | 'owner';

const spoken = new AsyncLocalStorage<Behalf>();

/** Undefined: nobody has said it. */
export function currentBehalf(): Behalf | undefined {
  return spoken.getStore();
}

/**
 * Runs `work` for a team: all that it starts reads and writes that team's rows, as the second fence behind its own
 * `WHERE team_id`. Where work is handed to a queue, a stream or a timer that others run, it is theirs: say it again there.
 */
export async function asTeam<T>(teamId: string, work: () => T | PromiseLike<T>): Promise<T> {
  if (!/^[\w-]{1,100}$/.test(teamId)) throw new Error('asTeam needs the id of a team');
  return await onBehalfOf({ team: teamId }, work);
}

/** Runs `work` for all teams: loops, sweeps, the check of a key, what operators do. As little as possible, within a request. */
export async function asSystem<T>(work: () => T | PromiseLike<T>): Promise<T> {
  return await onBehalfOf('system', work);
}

/** The same, and begins at once. */
export async function onBehalfOf<T>(behalf: Behalf, work: () => T | PromiseLike<T>): Promise<T> {
  // Awaited inside: a query of Prisma's begins when somebody waits for it.
  return await spoken.run(behalf, async () => await work());
}
