/** Deploy targets as leased work, and what became of an attempt. */
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma, type DeployTarget as Row } from '../../generated/client.ts';
import {
  backOff,
  type ClaimSize,
  claimWork,
  endWork,
  type RetryTimes,
  type TeamShares,
  teamsInTurn,
  type WorkKind,
  type WorkLease,
  writeWork,
} from '../../work/leased-work.ts';
import { recordLeftover } from '../leftovers.ts';
import type { RuntimeFault } from '../runtimes/runtime.ts';

type Key = 'teamId' | 'id';
const { sql } = Prisma;

/** A target is never finished: it is due again after each check. */
export const targetWork: WorkKind<Key> = {
  table: 'deploy_targets',
  key: { teamId: 'team_id', id: 'id' },
  token: 'lease_token',
  due: 'next_attempt_at',
  open: "(deploy_targets.state <> 'disabled' OR deploy_targets.deleted_at IS NOT NULL)",
};

/** A target that this process may change until the lease ends. */
export interface ClaimedTarget extends WorkLease<Key> {
  /** As it was claimed: if it has changed, the target is due again. */
  generation: number;
  /** True where its team was deleted: nothing is wanted then. */
  isTeamGone: boolean;
}

/** Claims what is due, teams in turn and a few per team, so that a slow runtime does not delay other teams. */
export async function claimTargets(
  db: Pick<Database, 'sql'>,
  size: ClaimSize & TeamShares,
): Promise<ClaimedTarget[]> {
  return await claimWork<Key, ClaimedTarget>(db, targetWork, {
    ...size,
    places: teamsInTurn(targetWork, size),
    returning: sql`generation,
      EXISTS (SELECT 1 FROM teams WHERE teams.id = team_id AND teams.deleted_at IS NOT NULL) AS "isTeamGone"`,
  });
}

/** Records that a version is being loaded, and with `isEmpty` that the runtime has lost what it had. False if another process works on the target now. */
export async function recordLoading(
  db: Pick<Database, 'sql'>,
  claimed: ClaimedTarget,
  isEmpty: boolean,
): Promise<boolean> {
  const none = isEmpty
    ? sql`, deployed_number = NULL, served_model = NULL, deployed_at = NULL`
    : Prisma.empty;
  return (await writeWork(db, targetWork, claimed, sql`state = 'loading', reason = NULL ${none}`)) !== null;
}

/** SQL: assignments after an attempt without a fault. */
const works = sql`failures = 0, failing_since = NULL, checked_at = now()`;

/** Records that the runtime lists this version. Null if another process works on the target now. */
export async function recordDeployed(
  db: Pick<Database, 'sql'>,
  claimed: ClaimedTarget,
  { number, servedModel }: { number: number; servedModel: string },
): Promise<{ deployedSeconds: number } | null> {
  return await writeWork<Key, { deployedSeconds: number }>(
    db,
    targetWork,
    claimed,
    sql`state = 'deployed', reason = NULL, ${works}, deployed_number = ${number}, served_model = ${servedModel},
      deployed_at = CASE WHEN deployed_number = ${number} AND served_model = ${servedModel} THEN deployed_at ELSE now() END`,
    sql`extract(epoch FROM now() - deployed_at)::float AS "deployedSeconds"`,
  );
}

/** Records that the runtime has none of its versions, because none is wanted. */
export async function recordEmpty(
  db: Pick<Database, 'sql'>,
  claimed: ClaimedTarget,
  reason: string,
): Promise<void> {
  const empty = sql`deployed_number = NULL, served_model = NULL, deployed_at = NULL`;
  await writeWork(db, targetWork, claimed, sql`state = 'waiting', ${works}, reason = ${reason}, ${empty}`);
}

/** SQL: at `due`, or at once if something else is wanted meanwhile. */
const unlessChanged = ({ generation }: ClaimedTarget, due: Prisma.Sql) =>
  sql`CASE WHEN generation = ${generation} THEN ${due} ELSE now() END`;

/** Ends the lease. The next check is in `seconds`, or at once if something else is wanted meanwhile. */
export async function release(
  db: Pick<Database, 'sql'>,
  claimed: ClaimedTarget,
  seconds: number,
): Promise<void> {
  const due = unlessChanged(claimed, sql`now() + make_interval(secs => ${seconds})`);
  await endWork(db, targetWork, claimed, { due });
}

/** Records a failure, and ends the lease. Returns the seconds until the next attempt; null: lost the lease. */
export async function recordFault(
  db: Pick<Database, 'sql'>,
  claimed: ClaimedTarget,
  { message }: RuntimeFault,
  times: RetryTimes,
): Promise<number | null> {
  const row = await endWork<Key, { seconds: number }>(
    db,
    targetWork,
    claimed,
    {
      due: unlessChanged(claimed, backOff(times, sql`failures`)),
      set: sql`state = 'failing', reason = ${message}, failures = failures + 1,
        failing_since = coalesce(failing_since, now())`,
    },
    sql`extract(epoch FROM next_attempt_at - now())::float AS seconds`,
  );
  return row?.seconds ?? null;
}

/** Removes the row of a deleted target. `leftover`: its row, if its runtime may still have adapters, which the operator's list then shows. */
export async function removeTarget(
  db: Pick<Database, 'db'>,
  { teamId, id, token: leaseToken }: ClaimedTarget,
  leftover: Row | null = null,
): Promise<void> {
  await inTransaction(db, async (tx) => {
    const { count } = await tx.deployTarget.deleteMany({ where: { teamId, id, leaseToken } });
    if (count === 1 && leftover) await recordLeftover(tx, leftover);
  });
}
