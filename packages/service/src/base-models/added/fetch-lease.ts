/** Added models as leased work: the process that holds a model's lease fetches it. */
import type { Database } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import {
  backOff,
  claimWork,
  endWork,
  failLostWork,
  renewWork,
  teamsInTurn,
  type WorkKind,
  type WorkLease,
} from '../../work/leased-work.ts';
import { type AddedModel, addedModelOf, type ModelFile } from './added-model.ts';

const { raw, sql } = Prisma;

export const fetchWork = {
  table: 'added_base_models',
  key: { id: 'id' },
  token: 'holder',
  due: 'not_before',
  state: { column: 'state', waiting: 'queued', leased: 'fetching', failed: 'failed' },
  ended: 'finished_at',
  countsAttempts: true,
} as const satisfies WorkKind<'id'>;

/** Seconds without a renewal after which a lease expires. */
export const leaseSeconds = 30;
/** Number of attempts after which a transient error fails the model. */
const maxAttempts = 8;
/** Delays of 10 s, 20 s, 40 s, … */
const times = { firstSeconds: 10, longestSeconds: 3_600 };

export type FetchLease = WorkLease<'id'>;

/**
 * Claims the model that is due longest, or whose lease has expired; null if there is none. Fails a model whose processes were lost
 * again and again: fetching it may be what ends them.
 */
export async function claimFetch(db: Database): Promise<{ model: AddedModel; lease: FetchLease } | null> {
  const message = `The process that fetched the model was lost, ${maxAttempts} times.`;
  const error = { code: 'base_model_unavailable', message };
  await failLostWork(db, fetchWork, { attempts: maxAttempts, leaseSeconds, error });
  const size = { count: 1, leaseSeconds };
  const [lease] = await claimWork(db, fetchWork, {
    ...size,
    places: teamsInTurn(fetchWork, { ...size, perTeam: Number.MAX_SAFE_INTEGER }),
    set: raw('started_at = coalesce(started_at, now())'),
  });
  const row = lease && (await db.db.addedBaseModel.findFirst({ where: { id: lease.id } }));
  return row ? { model: addedModelOf(row), lease: lease! } : null;
}

/** Renews the lease and records the progress of the fetch. Returns false if another process holds the lease or the model was removed. */
export async function keepFetch(
  db: Pick<Database, 'sql'>,
  lease: FetchLease,
  { bytesDone, bytesTotal, commit }: Pick<AddedModel, 'bytesDone' | 'bytesTotal' | 'commit'>,
): Promise<boolean> {
  return await renewWork(db, fetchWork, lease, {
    leaseSeconds,
    set: sql`bytes_done = ${bytesDone}, bytes_total = coalesce(${bytesTotal}, bytes_total), commit = coalesce(commit, ${commit})`,
  });
}

/** Marks the model as ready, when it is complete, verified and opened: teams find it from now on. Returns false if the lease was lost. */
export async function finishFetch(
  db: Pick<Database, 'sql'>,
  lease: FetchLease,
  found: { files: ModelFile[]; modelType: string; digest: string },
): Promise<boolean> {
  const bytes = found.files.reduce((sum, file) => sum + file.bytes, 0);
  const set = sql`error = NULL, bytes_done = ${bytes}, bytes_total = ${bytes}, files = ${JSON.stringify(found.files)}::jsonb,
    model_type = ${found.modelType}, digest = ${found.digest}`;
  return (await endWork(db, fetchWork, lease, { state: 'ready', set })) !== null;
}

/**
 * Ends a failed attempt. A transient error is retried, up to eight attempts in all; any other error fails the model. Returns the new state;
 * null if the lease was lost.
 */
export async function failFetch(
  db: Pick<Database, 'sql'>,
  lease: FetchLease,
  error: { code: string; message: string },
  isTransient: boolean,
): Promise<'queued' | 'failed' | null> {
  const row = await endWork<'id', { state: 'queued' | 'failed' }>(
    db,
    fetchWork,
    lease,
    {
      failsIf: sql`(NOT ${isTransient}::boolean OR attempts >= ${maxAttempts})`,
      due: backOff(times, raw('attempts - 1')),
      set: sql`error = ${JSON.stringify(error)}::jsonb`,
    },
    raw('state'),
  );
  return row?.state ?? null;
}
