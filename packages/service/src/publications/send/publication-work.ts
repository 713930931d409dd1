/** Publications as leased work, and what became of an attempt. */
import type { PublishedFolder } from '@graft/peft-core/files';
import type { Database } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import {
  backOff,
  type ClaimSize,
  claimWorkAlone,
  endWork,
  failLostWork,
  type RetryTimes,
  renewWork,
  teamsInTurn,
  type WorkKind,
  writeWork,
} from '../../work/leased-work.ts';
import { type Publication, type PublicationError, publicationOf } from '../publication.ts';

type Key = 'teamId' | 'id';
const { raw, sql } = Prisma;

export const publicationWork = {
  table: 'publications',
  key: { teamId: 'team_id', id: 'id' },
  token: 'lease_token',
  due: 'next_attempt_at',
  state: { column: 'status', waiting: 'queued', leased: 'running', failed: 'failed' },
  ended: 'finished_at',
  open: 'EXISTS (SELECT 1 FROM teams WHERE teams.id = publications.team_id AND teams.deleted_at IS NULL)',
  countsAttempts: true,
} as const satisfies WorkKind<Key>;

/** More than the attempts of 24 hours: a publication that ends its process each time stops here. */
const maxAttempts = 400;

export interface ClaimedPublication extends Publication {
  token: string;
  /** The model card that an earlier attempt has written; null: none yet. */
  cardText: string | null;
  /** True where its files have more than `largeBytes`. */
  isLarge: boolean;
}

export interface ClaimLimits extends ClaimSize {
  /** Maximum number of large ones among them. */
  largeCount: number;
  largeBytes: number;
}

/**
 * Claims one publication of each team, those that are due longest first. The one of a lost process comes before others of its team: the team
 * has one running at a time.
 */
export async function claimPublications(
  db: Database,
  { largeCount, largeBytes, ...size }: ClaimLimits,
): Promise<ClaimedPublication[]> {
  await failLostWork(db, publicationWork, {
    attempts: maxAttempts,
    leaseSeconds: size.leaseSeconds,
    error: {
      code: 'publication_failed',
      message: `The publication was interrupted ${maxAttempts} times.`,
      param: null,
    },
  });
  const isLarge = sql`coalesce(
    (SELECT made.bytes FROM adapter_exports made WHERE made.team_id = publications.team_id AND made.id = publications.export_id),
    (SELECT versions.bytes FROM adapter_versions versions
     WHERE versions.team_id = publications.team_id AND versions.id = publications.version_id)) > ${largeBytes}`;
  const claim = async (count: number, only: Prisma.Sql) =>
    count <= 0
      ? []
      : await claimWorkAlone<Key, { isLarge: boolean }>(db, publicationWork, {
          ...size,
          count,
          places: teamsInTurn(publicationWork, { ...size, perTeam: 1 }),
          only,
          set: raw('started_at = now()'),
          returning: sql`coalesce(${isLarge}, false) AS "isLarge"`,
        });
  const anyCount = Math.min(size.count, largeCount);
  const any = await claim(anyCount, raw('true'));
  const small =
    any.length < anyCount ? [] : await claim(size.count - any.length, sql`(${isLarge}) IS NOT TRUE`);
  const leases = new Map([...any, ...small].map((lease) => [lease.id, lease]));
  const rows = await db.db.publication.findMany({ where: { id: { in: [...leases.keys()] } } });
  return rows.map((row) => {
    const { token, isLarge } = leases.get(row.id)!;
    return { ...publicationOf(row), token, cardText: row.cardText, isLarge };
  });
}

/**
 * Extends the lease. False: another process has it, or the publication was deleted, or what it needs: its version or export, the team, or the
 * team's token. The claim after the end of the lease finds the reason.
 */
export async function renewPublication(
  db: Pick<Database, 'sql'>,
  claimed: ClaimedPublication,
  leaseSeconds: number,
): Promise<boolean> {
  const needs = sql`${raw(publicationWork.open)}
    AND EXISTS (SELECT 1 FROM integrations WHERE integrations.team_id = publications.team_id AND integrations.type = 'huggingface'
      AND integrations.sealed IS NOT NULL AND integrations.disabled_at IS NULL)
    AND EXISTS (SELECT 1 FROM adapter_versions versions WHERE versions.team_id = publications.team_id
      AND versions.id = publications.version_id AND versions.deleted_at IS NULL)
    AND (export_id IS NULL OR EXISTS (SELECT 1 FROM adapter_exports made
      WHERE made.team_id = publications.team_id AND made.id = publications.export_id))`;
  return await renewWork(db, publicationWork, claimed, { leaseSeconds, needs });
}

/** Records the model card for later attempts. Throws if the lease is lost. */
export async function keepCard(
  db: Pick<Database, 'sql'>,
  claimed: ClaimedPublication,
  text: string,
): Promise<void> {
  if (!(await writeWork(db, publicationWork, claimed, sql`card_text = ${text}`)))
    throw new Error(`the lease of ${claimed.id} is lost`);
}

/** running → succeeded. */
export async function recordPublished(
  db: Pick<Database, 'sql'>,
  claimed: ClaimedPublication,
  { commit, url, changed, bytes }: PublishedFolder,
): Promise<void> {
  const set = sql`commit = ${commit}, url = ${url}, changed = ${changed}, bytes = ${bytes}, error = NULL,
    failing_since = NULL, card_text = NULL`;
  await endWork(db, publicationWork, claimed, { state: 'succeeded', set });
}

const setError = (error: PublicationError) => sql`error = ${JSON.stringify(error)}::jsonb`;

/** running → failed. */
export async function recordRefused(
  db: Pick<Database, 'sql'>,
  claimed: ClaimedPublication,
  error: PublicationError,
): Promise<void> {
  await endWork(db, publicationWork, claimed, { state: 'failed', set: setError(error) });
}

export interface GivingUpTimes extends RetryTimes {
  /** Seconds without success after which the publication fails. */
  giveUpSeconds: number;
}

/** running → queued for a later attempt, or failed if attempts have failed for too long. Returns which. */
export async function recordFailure(
  db: Pick<Database, 'sql'>,
  claimed: ClaimedPublication,
  error: PublicationError,
  times: GivingUpTimes,
): Promise<'queued' | 'failed' | 'lost'> {
  const row = await endWork<Key, { status: 'queued' | 'failed' }>(
    db,
    publicationWork,
    claimed,
    {
      failsIf: sql`failing_since <= now() - make_interval(secs => ${times.giveUpSeconds})`,
      due: backOff(times, raw('attempts - 1')),
      set: sql`${setError(error)}, failing_since = coalesce(failing_since, now())`,
    },
    raw('status'),
  );
  return row?.status ?? 'lost';
}
