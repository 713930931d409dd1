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

/** Files that a job has stored for one step: a checkpoint to resume training from, an adapter for users, or both. */
export interface ListedCheckpoint {
  /** Id of the adapter if there is one, else of the checkpoint. */
  id: string;
  step: number;
  state: Checkpoint | null;
  adapter: CheckpointAdapter | null;
}

/**
 * Lists checkpoints by descending step, one entry per step; with `kept` only steps whose adapter is kept. `after` is the id of the last
 * entry's checkpoint or adapter. Throws GraftError `invalid_cursor`.
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
  // The page lies within the first `limit` rows of both tables; one more row shows whether there is a next page.
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
