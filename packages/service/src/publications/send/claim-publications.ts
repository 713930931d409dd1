/** What the process that sends a publication does to its row: all guarded by its token, so that a process that lost its lease changes nothing. */
import { randomUUID } from 'node:crypto';
import type { PublishedFolder } from '@graft/peft-core/files';
import type { Database } from '../../database/database.ts';
import type { Publication as Row } from '../../generated/client.ts';
import { type Publication, type PublicationError, publicationOf } from '../publication.ts';

export interface ClaimedPublication extends Publication {
  token: string;
  /** The model card that an earlier attempt has written; null: none yet. */
  cardText: string | null;
}

/**
 * queued → running: at most one for each team, those that are due longest first. One whose lease has run out is claimed like a queued one. The
 * attempt counts at once, so that a publication that ends its process is known.
 */
export async function claimPublications(
  { sql, db }: Database,
  { count, leaseSeconds }: { count: number; leaseSeconds: number },
): Promise<ClaimedPublication[]> {
  const token = randomUUID();
  // A team whose process was lost has a running row, which must be continued before another one may run.
  const { rows } = await sql.query<{ id: string; teamId: string }>(
    `WITH due AS (
       SELECT DISTINCT ON (team_id) id, team_id, next_attempt_at FROM publications waiting
       WHERE EXISTS (SELECT 1 FROM teams WHERE teams.id = waiting.team_id AND teams.deleted_at IS NULL)
         AND ((status = 'running' AND lease_until <= now()) OR (status = 'queued' AND next_attempt_at <= now()
         AND NOT EXISTS (SELECT 1 FROM publications busy WHERE busy.team_id = waiting.team_id AND busy.status = 'running')))
       ORDER BY team_id, status DESC, next_attempt_at, id
     ), taken AS (
       SELECT publications.id FROM publications JOIN due USING (id)
       WHERE (publications.status = 'queued' OR publications.lease_until <= now()) AND publications.status IN ('queued', 'running')
       ORDER BY due.next_attempt_at, due.id LIMIT $1 FOR UPDATE OF publications SKIP LOCKED
     )
     UPDATE publications SET status = 'running', lease_until = now() + make_interval(secs => $2), lease_token = $3,
       attempts = attempts + 1, started_at = now()
     FROM taken WHERE publications.id = taken.id RETURNING publications.id, publications.team_id AS "teamId"`,
    [count, leaseSeconds, token],
  );
  const found = await db.publication.findMany({ where: { id: { in: rows.map(({ id }) => id) } } });
  return found.map((row: Row) => ({ ...publicationOf(row), token, cardText: row.cardText }));
}

/** Extends the lease. False: another process has it, or the publication was deleted. */
export async function renewPublication(
  { sql }: Pick<Database, 'sql'>,
  { teamId, id, token }: ClaimedPublication,
  leaseSeconds: number,
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `UPDATE publications SET lease_until = now() + make_interval(secs => $4)
     WHERE team_id = $1 AND id = $2 AND lease_token = $3 AND status = 'running'`,
    [teamId, id, token, leaseSeconds],
  );
  return rowCount === 1;
}

/** Records the model card for later attempts. Throws if the lease is lost. */
export async function keepCard(
  { sql }: Pick<Database, 'sql'>,
  { teamId, id, token }: ClaimedPublication,
  text: string,
): Promise<void> {
  const { rowCount } = await sql.query(
    `UPDATE publications SET card_text = $4 WHERE team_id = $1 AND id = $2 AND lease_token = $3 AND status = 'running'`,
    [teamId, id, token, text],
  );
  if (rowCount !== 1) throw new Error(`the lease of ${id} is lost`);
}

/** running → succeeded. False: the lease is lost. */
export async function recordPublished(
  { sql }: Pick<Database, 'sql'>,
  { teamId, id, token }: ClaimedPublication,
  { commit, url, changed, bytes }: PublishedFolder,
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `UPDATE publications SET status = 'succeeded', commit = $4, url = $5, changed = $6, bytes = $7, error = NULL, failing_since = NULL,
       lease_until = NULL, lease_token = NULL, card_text = NULL, finished_at = now()
     WHERE team_id = $1 AND id = $2 AND lease_token = $3 AND status = 'running'`,
    [teamId, id, token, commit, url, changed, bytes],
  );
  return rowCount === 1;
}

/** running → failed. */
export async function recordRefused(
  { sql }: Pick<Database, 'sql'>,
  { teamId, id, token }: ClaimedPublication,
  error: PublicationError,
): Promise<void> {
  await sql.query(
    `UPDATE publications SET status = 'failed', error = $4, lease_until = NULL, lease_token = NULL, finished_at = now()
     WHERE team_id = $1 AND id = $2 AND lease_token = $3 AND status = 'running'`,
    [teamId, id, token, JSON.stringify(error)],
  );
}

/** running → queued, due at once, because this process ends. */
export async function releasePublication(
  { sql }: Pick<Database, 'sql'>,
  { teamId, id, token }: ClaimedPublication,
): Promise<void> {
  await sql.query(
    `UPDATE publications SET status = 'queued', lease_until = NULL, lease_token = NULL, next_attempt_at = now(), attempts = attempts - 1
     WHERE team_id = $1 AND id = $2 AND lease_token = $3 AND status = 'running'`,
    [teamId, id, token],
  );
}

export interface RetryTimes {
  /** Seconds until the second attempt; each further delay is twice as long. */
  firstSeconds: number;
  longestSeconds: number;
  /** Seconds without success after which the publication fails. */
  giveUpSeconds: number;
}

/** running → queued for a later attempt, or failed if attempts have failed for too long. Returns which. */
export async function recordFailure(
  { sql }: Pick<Database, 'sql'>,
  { teamId, id, token }: ClaimedPublication,
  error: PublicationError,
  { firstSeconds, longestSeconds, giveUpSeconds, jitter }: RetryTimes & { jitter: number },
): Promise<'queued' | 'failed' | 'lost'> {
  const { rows } = await sql.query<{ status: 'queued' | 'failed' }>(
    `UPDATE publications SET error = $4, lease_until = NULL, lease_token = NULL, failing_since = coalesce(failing_since, now()),
       status = CASE WHEN failing_since <= now() - make_interval(secs => $7) THEN 'failed' ELSE 'queued' END,
       finished_at = CASE WHEN failing_since <= now() - make_interval(secs => $7) THEN now() END,
       next_attempt_at = now() + make_interval(secs => least($5 * power(2, least(attempts - 1, 30)), $6) * $8)
     WHERE team_id = $1 AND id = $2 AND lease_token = $3 AND status = 'running' RETURNING status`,
    [teamId, id, token, JSON.stringify(error), firstSeconds, longestSeconds, giveUpSeconds, jitter],
  );
  return rows[0]?.status ?? 'lost';
}
