import { GraftError, type PeftType, peftTypes } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { Prisma } from '../generated/client.ts';
import { checkLimits, readLimit, storedLimit } from '../keys/scopes.ts';
import { withTeamLocked } from './lock-team.ts';

/** Limits of a team, set by the operator. Null: no limit. */
export interface TeamQuota {
  /** Maximum number of dispatched or running jobs; further jobs wait. Every team has this limit. */
  runningJobs: number;
  /** Maximum number of validating, queued or paused jobs. */
  queuedJobs: number | null;
  /**
   * Bytes of files, pending uploads, incoming data, adapters and exports together, including deleted adapters that can be restored. An
   * export counts with its maximum size until it is written.
   */
  storedBytes: number | null;
  /** Maximum number of files and pending uploads. */
  files: number | null;
  /** Maximum number of adapter versions, including deleted ones that can be restored. Those that jobs train are kept beyond it. */
  adapters: number | null;
  /** Maximum number of exports that wait, are being written or are kept. */
  exports: number | null;
  /** Tokens trained per calendar month (UTC). */
  tokensPerMonth: number | null;
  /** Maximum number of pending multipart uploads. */
  openUploads: number | null;
  /** Base models that jobs may train: ids, or prefixes followed by `*`. */
  models: readonly string[] | null;
  methods: readonly PeftType[] | null;
  maxRank: number | null;
  maxSeqLength: number | null;
  /** Tokens of a job's training data × its epochs. */
  tokensPerJob: number | null;
}

export type StoredKind = 'files' | 'adapters' | 'exports';

export interface QuotaUse {
  runningJobs: number;
  queuedJobs: number;
  storedBytes: number;
  files: number;
  adapters: number;
  exports: number;
  /** Tokens trained this month. */
  trainedTokens: number;
  /** Maximum tokens that validated, unfinished jobs will train. */
  plannedTokens: number;
  openUploads: number;
  /** True where the operator has set a budget: see `readBudget`. */
  hasBudget: boolean;
  monthEnds: Date;
}

const fragment = Prisma.sql;

/** Reads a team's quota with two primary-key lookups; runs at every creation of a limited object. Null: no such team. */
export async function readQuota({ sql }: Pick<Database, 'sql'>, teamId: string): Promise<TeamQuota | null> {
  const { rows } = await sql.query<Record<keyof TeamQuota, number | null> & { lists: [string[], string[]] }>(
    // Cast to float8, because int8 is returned as text; exact up to 2^53.
    fragment`SELECT teams.running_limit AS "runningJobs", queued_jobs AS "queuedJobs", stored_bytes::float8 AS "storedBytes",
       files, adapters, exports,
       tokens_per_month::float8 AS "tokensPerMonth", open_uploads AS "openUploads", max_rank AS "maxRank",
       max_seq_length AS "maxSeqLength", tokens_per_job::float8 AS "tokensPerJob",
       jsonb_build_array(coalesce(models, '{*}'), coalesce(methods, '{*}')) AS lists
     FROM teams LEFT JOIN team_quotas ON team_quotas.team_id = teams.id
     WHERE teams.id = ${teamId} AND teams.deleted_at IS NULL`,
  );
  if (!rows[0]) return null;
  const { lists, ...numbers } = rows[0];
  const [models, methods] = lists.map(readLimit);
  return { ...(numbers as TeamQuota), models: models!, methods: methods as PeftType[] | null };
}

/**
 * Changes the given limits, with effect on new requests; existing objects stay. Null: no such team. Throws GraftError
 * `invalid_model_limit`, `unknown_peft_type`.
 */
export async function setQuota(
  db: Database,
  teamId: string,
  change: Partial<TeamQuota>,
  by: Actor | null = null,
): Promise<TeamQuota | null> {
  const { runningJobs, models, methods, ...numbers } = change;
  checkLimits({ scopes: null, models: models ?? null }, { scopes: null, models: null });
  const odd = methods?.find((method) => !peftTypes.includes(method));
  if (odd !== undefined)
    throw new GraftError(
      'unknown_peft_type',
      `There is no method '${odd}'. Methods: ${peftTypes.join(', ')}.`,
      { param: 'methods' },
    );
  const columns = {
    ...numbers,
    ...(models === undefined ? {} : { models: storedLimit(models) }),
    ...(methods === undefined ? {} : { methods: storedLimit(methods) }),
  };
  const isThere = await withTeamLocked(db, teamId, { alone: false }, async (tx) => {
    if (runningJobs !== undefined)
      await tx.team.updateMany({ where: { id: teamId }, data: { runningLimit: runningJobs } });
    await tx.teamQuota.upsert({ where: { teamId }, create: { teamId, ...columns }, update: columns });
    await insertAudit(tx, teamId, by, { action: 'team.quota', target: teamId, detail: { ...change } });
    return true;
  });
  return isThere ? await readQuota(db, teamId) : null;
}

const waiting = (teamId: string) => fragment`
  (SELECT count(*) FROM jobs WHERE team_id = ${teamId} AND state IN ('validating', 'queued'))
  + (SELECT count(*) FROM jobs WHERE team_id = ${teamId} AND state = 'paused')`;
const stored = (teamId: string) => fragment`
  (SELECT coalesce(sum(bytes), 0) FROM files WHERE team_id = ${teamId})
  + (SELECT coalesce(sum(bytes), 0) FROM uploads WHERE team_id = ${teamId} AND status = 'pending')
  + (SELECT coalesce(sum(bytes), 0) FROM incoming_bytes WHERE team_id = ${teamId} AND upload_id IS NULL AND expires_at > now())
  + (SELECT coalesce(sum(bytes), 0) FROM adapter_versions WHERE team_id = ${teamId})
  + (SELECT coalesce(sum(bytes), 0) FROM checkpoint_adapters WHERE team_id = ${teamId})
  + (SELECT coalesce(sum(CASE status WHEN 'succeeded' THEN bytes ELSE reserved_bytes END), 0) FROM adapter_exports
     WHERE team_id = ${teamId} AND status IN ('queued', 'running', 'succeeded'))`;
const objects: Record<StoredKind, (teamId: string) => Prisma.Sql> = {
  files: (teamId) => fragment`
    (SELECT count(*) FROM files WHERE team_id = ${teamId})
    + (SELECT count(*) FROM uploads WHERE team_id = ${teamId} AND status = 'pending')`,
  adapters: (teamId) => fragment`SELECT count(*) FROM adapter_versions WHERE team_id = ${teamId}`,
  exports: (teamId) => fragment`
    SELECT count(*) FROM adapter_exports WHERE team_id = ${teamId} AND status IN ('queued', 'running', 'succeeded')`,
};
const trained = (teamId: string) => fragment`
  (SELECT coalesce(sum(trained_tokens), 0) FROM jobs WHERE team_id = ${teamId} AND trained_tokens IS NOT NULL
     AND finished_at >= date_trunc('month', now(), 'UTC'))`;
const planned = (teamId: string) => fragment`
  ((SELECT coalesce(sum(planned_tokens), 0) FROM jobs WHERE team_id = ${teamId}
      AND state IN ('queued', 'dispatched', 'running'))
   + (SELECT coalesce(sum(planned_tokens), 0) FROM jobs WHERE team_id = ${teamId} AND state = 'paused'))`;
const monthEnds = fragment`(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'`;

/** Returns the SQL for one row of QuotaUse; `parts` selects the sums to compute, others are 0. */
export function useOf(
  teamId: string,
  parts: {
    jobs?: boolean;
    bytes?: boolean;
    counts?: readonly StoredKind[];
    tokens?: boolean;
    rest?: boolean;
  },
): Prisma.Sql {
  const none = fragment`0`;
  const countOf = (kind: StoredKind) => (parts.counts?.includes(kind) ? objects[kind](teamId) : none);
  return fragment`SELECT (${parts.jobs ? waiting(teamId) : none})::int AS "queuedJobs",
    (${parts.bytes ? stored(teamId) : none})::float8 AS "storedBytes",
    (${countOf('files')})::int AS files, (${countOf('adapters')})::int AS adapters, (${countOf('exports')})::int AS exports,
    (${parts.tokens ? trained(teamId) : none})::float8 AS "trainedTokens",
    (${parts.tokens ? planned(teamId) : none})::float8 AS "plannedTokens",
    (${parts.rest ? fragment`SELECT count(*) FROM jobs WHERE team_id = ${teamId} AND state IN ('dispatched', 'running')` : none})::int AS "runningJobs",
    (${parts.rest ? fragment`SELECT count(*) FROM uploads WHERE team_id = ${teamId} AND status = 'pending' AND expires_at > now()` : none})::int
      AS "openUploads",
    ${parts.rest ? fragment`EXISTS (SELECT 1 FROM team_budgets WHERE team_id = ${teamId})` : fragment`false`} AS "hasBudget",
    ${monthEnds} AS "monthEnds"`;
}

/** Reads the complete use of a team in one statement. */
export async function readQuotaUse({ sql }: Pick<Database, 'sql'>, teamId: string): Promise<QuotaUse> {
  const { rows } = await sql.query<QuotaUse>(
    useOf(teamId, {
      jobs: true,
      bytes: true,
      counts: ['files', 'adapters', 'exports'],
      tokens: true,
      rest: true,
    }),
  );
  return rows[0]!;
}
