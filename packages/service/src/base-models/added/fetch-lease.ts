/** Decides which process fetches an added model: the one that holds the model's lease, by Postgres's clock. */
import type { Database } from '../../database/database.ts';
import { randomText } from '../../ids.ts';
import { type AddedModel, addedModelOf, type ModelFile } from './added-model.ts';

/** Seconds without a renewal after which a lease expires. */
const leaseSeconds = 30;
/** Number of attempts after which a transient error fails the model. */
const maxAttempts = 8;

export interface FetchLease {
  id: string;
  holder: string;
}

/**
 * Claims the model that has waited longest, or whose lease has expired; null if there is none. Fails a model whose processes were lost
 * again and again: fetching it may be what ends them.
 */
export async function claimFetch({
  sql,
  db,
}: Database): Promise<{ model: AddedModel; lease: FetchLease } | null> {
  const holder = randomText(16);
  await sql.query(
    `UPDATE added_base_models SET state = 'failed', holder = NULL, lease_until = NULL, finished_at = now(), error = $2
     WHERE state = 'fetching' AND lease_until <= now() AND attempts >= $1`,
    [
      maxAttempts,
      JSON.stringify({
        code: 'base_model_unavailable',
        message: `The process that fetched the model was lost, ${maxAttempts} times.`,
      }),
    ],
  );
  const { rows } = await sql.query<{ id: string }>(
    `UPDATE added_base_models SET state = 'fetching', holder = $1, lease_until = now() + make_interval(secs => $2),
       attempts = attempts + 1, started_at = coalesce(started_at, now())
     WHERE id = (SELECT id FROM added_base_models
                 WHERE (state = 'queued' AND not_before <= now()) OR (state = 'fetching' AND lease_until <= now())
                 ORDER BY created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING id`,
    [holder, leaseSeconds],
  );
  const id = rows[0]?.id;
  const row = id === undefined ? null : await db.addedBaseModel.findFirst({ where: { id } });
  return row && { model: addedModelOf(row), lease: { id: row.id, holder } };
}

/** Renews the lease and records the progress of the fetch. Returns false if another process holds the lease or the model was removed. */
export async function keepFetch(
  { sql }: Pick<Database, 'sql'>,
  { id, holder }: FetchLease,
  { bytesDone, bytesTotal, commit }: Pick<AddedModel, 'bytesDone' | 'bytesTotal' | 'commit'>,
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `UPDATE added_base_models SET lease_until = now() + make_interval(secs => $3), bytes_done = $4,
       bytes_total = coalesce($5, bytes_total), commit = coalesce(commit, $6)
     WHERE id = $1 AND holder = $2 AND state = 'fetching'`,
    [id, holder, leaseSeconds, bytesDone, bytesTotal, commit],
  );
  return rowCount === 1;
}

/** Marks the model as ready, when it is complete, verified and opened: teams find it from now on. Returns false if the lease was lost. */
export async function finishFetch(
  { sql }: Pick<Database, 'sql'>,
  { id, holder }: FetchLease,
  found: { files: ModelFile[]; modelType: string; digest: string },
): Promise<boolean> {
  const bytes = found.files.reduce((sum, file) => sum + file.bytes, 0);
  const { rowCount } = await sql.query(
    `UPDATE added_base_models SET state = 'ready', holder = NULL, lease_until = NULL, error = NULL, finished_at = now(),
       bytes_done = $3, bytes_total = $3, files = $4, model_type = $5, digest = $6
     WHERE id = $1 AND holder = $2 AND state = 'fetching'`,
    [id, holder, bytes, JSON.stringify(found.files), found.modelType, found.digest],
  );
  return rowCount === 1;
}

/**
 * Ends a failed attempt. A transient error is retried after 10 s, 20 s, 40 s, …, up to eight attempts in all; any other error fails the
 * model. Returns the new state; null if the lease was lost.
 */
export async function failFetch(
  { sql }: Pick<Database, 'sql'>,
  { id, holder }: FetchLease,
  error: { code: string; message: string },
  isTransient: boolean,
): Promise<'queued' | 'failed' | null> {
  const { rows } = await sql.query<{ state: 'queued' | 'failed' }>(
    `UPDATE added_base_models SET holder = NULL, lease_until = NULL, error = $3,
       state = CASE WHEN $4 AND attempts < $5 THEN 'queued' ELSE 'failed' END,
       finished_at = CASE WHEN $4 AND attempts < $5 THEN NULL ELSE now() END,
       not_before = now() + make_interval(secs => 5 * 2 ^ least(attempts, 10))
     WHERE id = $1 AND holder = $2 AND state = 'fetching'
     RETURNING state`,
    [id, holder, JSON.stringify(error), isTransient, maxAttempts],
  );
  return rows[0]?.state ?? null;
}

/** Releases the lease of a process that stops; the attempt does not count. */
export async function releaseFetch(
  { sql }: Pick<Database, 'sql'>,
  { id, holder }: FetchLease,
): Promise<void> {
  await sql.query(
    `UPDATE added_base_models SET state = 'queued', holder = NULL, lease_until = NULL, not_before = now(),
       attempts = attempts - 1
     WHERE id = $1 AND holder = $2 AND state = 'fetching'`,
    [id, holder],
  );
}
