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
  /** Whether its files have more than `largeBytes`. */
  isLarge: boolean;
}

export interface ClaimLimits {
  /** Maximum number of publications. */
  count: number;
  /** Maximum number of large ones among them. */
  largeCount: number;
  largeBytes: number;
  leaseSeconds: number;
}

/** Attempts at a claim of which another process has claimed a publication of the same team meanwhile. */
const maxClaims = 5;

/**
 * queued → running: at most one for each team, those that are due longest first. One whose lease has run out is claimed like a queued one. The
 * attempt counts at once, so that a publication that ends its process is known.
 */
export async function claimPublications(
  { sql, db }: Database,
  limits: ClaimLimits,
): Promise<ClaimedPublication[]> {
  const token = randomUUID();
  for (let attempt = 1; ; attempt++) {
    try {
      const claimed = await claim(sql, token, limits);
      const found = await db.publication.findMany({ where: { id: { in: claimed.map(({ id }) => id) } } });
      const large = new Set(claimed.flatMap(({ id, isLarge }) => (isLarge ? [id] : [])));
      return found.map((row: Row) => ({
        ...publicationOf(row),
        token,
        cardText: row.cardText,
        isLarge: large.has(row.id),
      }));
    } catch (error) {
      // A concurrent claim took another publication of one of the teams: the index that allows one for each refuses all of this claim.
      const { code, constraint } = error as { code?: string; constraint?: string };
      if (code !== '23505' || constraint !== 'publications_running_idx' || attempt >= maxClaims) throw error;
    }
  }
}

async function claim(
  sql: Database['sql'],
  token: string,
  { count, largeCount, largeBytes, leaseSeconds }: ClaimLimits,
): Promise<{ id: string; isLarge: boolean }[]> {
  // A team whose process was lost has a running row, which must be continued before another one may run.
  const { rows } = await sql.query<{ id: string; isLarge: boolean }>(
    `WITH due AS (
       SELECT DISTINCT ON (team_id) id, team_id, version_id, export_id, next_attempt_at FROM publications waiting
       WHERE EXISTS (SELECT 1 FROM teams WHERE teams.id = waiting.team_id AND teams.deleted_at IS NULL)
         AND ((status = 'running' AND lease_until <= now()) OR (status = 'queued' AND next_attempt_at <= now()
         AND NOT EXISTS (SELECT 1 FROM publications busy WHERE busy.team_id = waiting.team_id AND busy.status = 'running')))
       ORDER BY team_id, status DESC, next_attempt_at, id
     ), sized AS (
       SELECT due.*, coalesce(coalesce(made.bytes, versions.bytes) > $4, false) AS large FROM due
       LEFT JOIN adapter_versions versions ON versions.team_id = due.team_id AND versions.id = due.version_id
       LEFT JOIN adapter_exports made ON made.team_id = due.team_id AND made.id = due.export_id
     ), counted AS (
       SELECT id, next_attempt_at AS due_at, large, count(*) FILTER (WHERE large) OVER (ORDER BY next_attempt_at, id) AS nth FROM sized
     ), taken AS (
       SELECT publications.id, large FROM publications JOIN counted USING (id)
       WHERE (NOT large OR nth <= $5) AND (publications.status = 'queued' OR publications.lease_until <= now()) AND publications.status IN ('queued', 'running')
       ORDER BY due_at, publications.id LIMIT $1 FOR UPDATE OF publications SKIP LOCKED
     )
     UPDATE publications SET status = 'running', lease_until = now() + make_interval(secs => $2), lease_token = $3,
       attempts = attempts + 1, started_at = now()
     FROM taken WHERE publications.id = taken.id RETURNING publications.id, taken.large AS "isLarge"`,
    [count, leaseSeconds, token, largeBytes, largeCount],
  );
  return rows;
}

/**
 * Extends the lease. False: another process has it, or the publication was deleted, or what it needs: its version or export, the team, or the
 * team's token. The claim after the end of the lease finds the reason.
 */
export async function renewPublication(
  { sql }: Pick<Database, 'sql'>,
  { teamId, id, token }: ClaimedPublication,
  leaseSeconds: number,
): Promise<boolean> {
  const { rowCount } = await sql.query(
    `UPDATE publications SET lease_until = now() + make_interval(secs => $4)
     WHERE team_id = $1 AND id = $2 AND lease_token = $3 AND status = 'running'
       AND EXISTS (SELECT 1 FROM teams WHERE teams.id = $1 AND teams.deleted_at IS NULL)
       AND EXISTS (SELECT 1 FROM integrations WHERE integrations.team_id = $1 AND integrations.type = 'huggingface'
         AND integrations.sealed IS NOT NULL AND integrations.disabled_at IS NULL)
       AND EXISTS (SELECT 1 FROM adapter_versions versions WHERE versions.team_id = $1 AND versions.id = publications.version_id
         AND versions.deleted_at IS NULL)
       AND (export_id IS NULL OR EXISTS (SELECT 1 FROM adapter_exports made WHERE made.team_id = $1 AND made.id = publications.export_id))`,
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
