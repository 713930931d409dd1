/**
 * Changes to the row of an export by the worker that writes it: each is one guarded UPDATE, so that a worker that has lost its lease
 * changes nothing. The next worker claims an export whose lease has run out, without a sweeper.
 */
import type { Database, Transaction } from '../database/database.ts';
import { isRowLocked } from '../database/database-unavailable.ts';
import { inTransaction } from '../database/in-transaction.ts';
import type { ServiceEnv } from '../environment/env.ts';
import { Prisma } from '../generated/client.ts';
import type { JobError } from '../jobs/job.ts';
import { advanceClock, claimTurn, teamTurns } from '../jobs/turns/team-turns.ts';
import type { StoredArtifact } from '../storage/artifact-store.ts';
import { enqueueOutboxEvent } from '../webhooks/enqueue-outbox-event.ts';
import {
  backOff,
  claimWork,
  endingOf,
  endWork,
  holds,
  isFree,
  releaseWork,
  renewWork,
  type WorkKind,
} from '../work/leased-work.ts';
import { type AdapterExport, type ExportLease, exportOf } from './export.ts';
import { chargeExport, exportsAtWork } from './export-turns.ts';

/** Number of workers lost while they wrote one export, after which it fails: writing it may be what ends them. */
export const lostLimit = 5;
/** Number of attempts that fail because of workers' environments, after which it fails. */
export const environmentLimit = 8;

const { sql } = Prisma;

type Context = Database & { env: Pick<ServiceEnv, 'exportDays'> };

const lost: JobError = {
  code: 'export_lost',
  message: `The worker that wrote the export was lost ${lostLimit} times.`,
  param: null,
  fault: 'system',
};

/** Teams take turns by virtual time, as for training, and not by `teamsInTurn`. */
export const exportWork: WorkKind<'id'> = {
  table: 'adapter_exports',
  key: { id: 'id' },
  token: 'lease_token',
  due: 'run_after',
  state: { column: 'status', waiting: 'queued', leased: 'running', failed: 'failed' },
  ended: 'finished_at',
  countsAttempts: true,
};

/** Delays after faults of workers' environments. */
const times = { firstSeconds: 5, longestSeconds: 300 };

/** SQL: when an export that ends now expires. */
const expiry = ({ env }: Context) => sql`expires_at = now() + make_interval(days => ${env.exportDays})`;

/** `isLastOfSeveral`: the worker has several places for exports, and this is its last free one. */
interface ClaimOptions {
  workerId: string;
  leaseSeconds: number;
  isLastOfSeveral?: boolean;
}

/**
 * queued → running for `leaseSeconds`, epoch + 1, attempts + 1: the oldest export of the team whose turn it is; in the last of several places
 * only of a team that has none running, so that one team's exports do not fill them all. Null: there is none, or the worker is being
 * drained or quarantined.
 * Fails exports whose workers were lost too often.
 */
export async function claimExport(
  db: Context,
  options: ClaimOptions,
): Promise<{ made: AdapterExport; lease: ExportLease } | null> {
  for (const { id, teamId } of await nextExports(db, options)) {
    try {
      const claimed = await claim(db, { id, teamId }, options);
      if (!claimed) continue;
      await advanceClock(db, 'export', claimed.start);
      return claimed;
    } catch (error) {
      // Another process holds the row or the team's turn: the next round takes it.
      if (!isRowLocked(error)) throw error;
    }
  }
  return null;
}

/** Number of candidates per claim, because other workers may be faster. */
const maxCandidates = 8;

async function nextExports(
  { sql }: Database,
  { workerId, leaseSeconds, isLastOfSeveral = false }: ClaimOptions,
): Promise<{ id: string; teamId: string }[]> {
  const { rows } = await sql.query<{ id: string; teamId: string }>(Prisma.sql`
    WITH at_work AS MATERIALIZED (${exportsAtWork}),
      waiting AS MATERIALIZED (SELECT DISTINCT team_id FROM adapter_exports WHERE status IN ('queued', 'running'))
    SELECT next.id, teams.id AS "teamId" FROM waiting JOIN teams ON teams.id = waiting.team_id
    LEFT JOIN at_work ON at_work.team_id = teams.id ${teamTurns('export')} CROSS JOIN LATERAL (
      SELECT adapter_exports.id, adapter_exports.created_at FROM adapter_exports
      WHERE adapter_exports.team_id = teams.id AND ${isFree(exportWork, leaseSeconds)}
      ORDER BY adapter_exports.created_at, adapter_exports.id LIMIT 2
    ) AS next WHERE teams.deleted_at IS NULL AND (NOT ${isLastOfSeveral}::boolean OR coalesce(at_work.jobs, 0) = 0)
      AND NOT EXISTS (SELECT 1 FROM workers WHERE workers.id = ${workerId} AND (draining OR quarantined_at IS NOT NULL))
    ORDER BY turns.start, coalesce(at_work.jobs, 0)::float8 / teams.weight, next.created_at, next.id LIMIT ${maxCandidates}`);
  return rows;
}

/** Null: another process has it, or it has ended. */
async function claim(
  db: Context,
  { id, teamId }: { id: string; teamId: string },
  { workerId, leaseSeconds }: ClaimOptions,
): Promise<{ made: AdapterExport; lease: ExportLease; start: number } | null> {
  return await inTransaction(db, async (tx) => {
    const [free] = await tx.$queryRaw<{ attempts: number }[]>`
      SELECT attempts FROM adapter_exports WHERE id = ${id} AND ${isFree(exportWork, leaseSeconds)} FOR UPDATE SKIP LOCKED`;
    if (!free) return null;
    await chargeExport(tx, { id, teamId });
    if (free.attempts >= lostLimit) {
      const error = sql`error = ${JSON.stringify(lost)}::jsonb, ${expiry(db)}`;
      await tx.$executeRaw`
        UPDATE adapter_exports SET ${endingOf(exportWork, { state: 'failed', set: error })} WHERE id = ${id}`;
      await enqueueOutboxEvent(tx, { teamId, id }, 'export.failed');
      return null;
    }
    const start = await claimTurn(tx, teamId, 'export', exportsAtWork);
    const [lease] = await claimWork(tx, exportWork, {
      count: 1,
      leaseSeconds,
      places: sql`SELECT ${id}::text AS id, 1 AS place`,
      set: sql`lease_epoch = lease_epoch + 1, worker_id = ${workerId}, done = 0, total = NULL, started_at = now()`,
    });
    if (!lease) return null;
    const made = exportOf(await tx.adapterExport.findFirstOrThrow({ where: { teamId, id } }));
    return { made, lease: { ...lease, epoch: made.leaseEpoch }, start };
  });
}

/** Renews the lease and publishes the progress. False: it was cancelled or deleted, or another worker has it. */
export async function heartbeatExport(
  db: Pick<Database, 'sql'>,
  lease: ExportLease,
  { leaseSeconds, done, total }: { leaseSeconds: number; done: number; total: number | null },
): Promise<boolean> {
  return await renewWork(db, exportWork, lease, { leaseSeconds, set: sql`done = ${done}, total = ${total}` });
}

/** Locks the export of a held lease, and charges its team for the time. Null when fenced. */
async function endTurn(tx: Transaction, lease: ExportLease): Promise<{ id: string; teamId: string } | null> {
  const [held] = await tx.$queryRaw<{ teamId: string }[]>`
    SELECT team_id AS "teamId" FROM adapter_exports WHERE ${holds(exportWork, lease)} FOR UPDATE`;
  if (!held) return null;
  const of = { id: lease.id, teamId: held.teamId };
  await chargeExport(tx, of);
  return of;
}

/**
 * running → succeeded: its files, which are in the store, are listed from now on. Safe to repeat after a lost answer. False when fenced, or
 * if the version was deleted; then the files belong to nobody.
 */
export async function finishExport(
  db: Context,
  lease: ExportLease,
  { stored, notes }: { stored: StoredArtifact; notes: readonly string[] },
): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const of = await endTurn(tx, lease);
    if (!of) {
      // The answer to an earlier COMMIT may have been lost.
      const { id } = lease;
      return (await tx.adapterExport.count({ where: { id, artifact: stored.artifact } })) > 0;
    }
    const { artifact, digest, bytes, files } = stored;
    const set = sql`artifact = ${artifact}, digest = ${digest}, bytes = ${bytes}, files = ${JSON.stringify(files)}::jsonb,
      notes = ${[...notes]}::text[], done = ${bytes}, total = ${bytes}, error = NULL, ${expiry(db)}`;
    await endWork(tx, exportWork, lease, { state: 'succeeded', set });
    await enqueueOutboxEvent(tx, of, 'export.succeeded');
    return true;
  });
}

/**
 * running → failed; for a fault of the worker's environment → queued, after 5, 10, 20, … s, at most five minutes, until the eighth of them
 * fails it. Returns the new status; null when fenced.
 */
export async function failExport(
  db: Context,
  lease: ExportLease,
  error: JobError,
): Promise<'queued' | 'failed' | null> {
  const isEnvironment = error.fault === 'environment';
  const set = sql`error = ${JSON.stringify(error)}::jsonb, environment_faults = environment_faults + ${isEnvironment ? 1 : 0}`;
  const again = sql`, attempts = attempts - 1, done = 0, total = NULL`;
  return await inTransaction(db, async (tx) => {
    const of = await endTurn(tx, lease);
    if (!of) return null;
    const isLast =
      !isEnvironment ||
      (await tx.adapterExport.count({
        where: { id: of.id, environmentFaults: { gte: environmentLimit - 1 } },
      })) > 0;
    await endWork(
      tx,
      exportWork,
      lease,
      isLast
        ? { state: 'failed', set: sql`${set}, ${expiry(db)}` }
        : { due: backOff(times, sql`environment_faults`), set: sql`${set} ${again}` },
    );
    if (isLast) await enqueueOutboxEvent(tx, of, 'export.failed');
    return isLast ? 'failed' : 'queued';
  });
}

/** running → queued, by a worker that stops; the attempt does not count, but its time is charged. */
export async function releaseExport(db: Context, lease: ExportLease): Promise<void> {
  await inTransaction(db, async (tx) => {
    if (await endTurn(tx, lease)) await releaseWork(tx, exportWork, lease, sql`done = 0, total = NULL`);
  });
}

/** Ends the leases of workers that are known to be dead, so that others take their exports at once. Returns the exports' ids. */
export async function endExportLeases({ sql }: Database, workerIds: readonly string[]): Promise<string[]> {
  const { rows } = await sql.query<{ id: string }>(
    `UPDATE adapter_exports SET lease_until = to_timestamp(0) WHERE status = 'running' AND worker_id = ANY($1)
       AND lease_until > now() RETURNING id`,
    [workerIds],
  );
  return rows.map(({ id }) => id);
}
