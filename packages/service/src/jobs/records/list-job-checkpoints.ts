import { GraftError } from '@graft/peft-core/config';
import {
  type CheckpointAdapter,
  checkpointAdapterOf,
  liveCheckpoints,
  withJob,
} from '../../adapters/checkpoint-adapter.ts';
import type { Database } from '../../database/database.ts';
import type { Page } from '../../database/read-page.ts';
import { type Checkpoint, checkpointOf } from '../leases/record-checkpoint.ts';

/** What a job has of one step: what training could go on from, the adapter that is kept for people, or both. */
export interface ListedCheckpoint {
  /** The adapter's, if there is one. */
  id: string;
  step: number;
  state: Checkpoint | null;
  adapter: CheckpointAdapter | null;
}

/**
 * By descending step, a step once; with `kept` only those whose adapter is kept. `after` is any id of the last one. Throws GraftError
 * `invalid_cursor`.
 */
export async function listJobCheckpoints(
  { db }: Database,
  teamId: string,
  jobId: string,
  { after, limit, kept = false }: { after?: string | undefined; limit: number; kept?: boolean },
): Promise<Page<ListedCheckpoint>> {
  const of = { teamId, jobId };
  let below: { step?: { lt: number } } = {};
  if (after !== undefined) {
    const byId = { where: { ...of, id: after }, select: { step: true } };
    const last = (await db.checkpoint.findFirst(byId)) ?? (await db.checkpointAdapter.findFirst(byId));
    if (!last)
      throw new GraftError('invalid_cursor', `No such object to list after: ${after}`, { param: 'after' });
    below = { step: { lt: last.step } };
  }
  // The page is within the first of both; one more tells whether there is another.
  const page = { orderBy: { step: 'desc' }, take: limit + 1 } as const;
  const states = kept ? [] : await db.checkpoint.findMany({ where: { ...of, ...below }, ...page });
  const adapters = await db.checkpointAdapter.findMany({
    where: { ...of, ...below, ...liveCheckpoints },
    ...page,
    ...withJob,
  });
  const byStep = new Map<number, ListedCheckpoint>();
  for (const row of states)
    byStep.set(row.step, { id: row.id, step: row.step, state: checkpointOf(row), adapter: null });
  for (const row of adapters) {
    const state = byStep.get(row.step)?.state ?? null;
    byStep.set(row.step, { id: row.id, step: row.step, state, adapter: checkpointAdapterOf(row) });
  }
  const all = [...byStep.values()].sort((a, b) => b.step - a.step);
  return { data: all.slice(0, limit), hasMore: all.length > limit };
}
