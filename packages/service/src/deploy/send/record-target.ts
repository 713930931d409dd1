/** What became of an attempt. Each write matches only a target whose lease this process still holds. */
import type { Database } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import type { DeployTarget as Row } from '../../generated/client.ts';
import { jitter } from '../../work/start-sending.ts';
import { recordLeftover } from '../leftovers.ts';
import type { RuntimeFault } from '../runtimes/runtime.ts';
import type { ClaimedTarget } from './claim-targets.ts';

export interface RetryLimits {
  /** Seconds until the second attempt; each further delay is twice as long. */
  firstSeconds: number;
  longestSeconds: number;
}

const held = ({ teamId, id, token }: ClaimedTarget) => ({ teamId, id, leaseToken: token });

/** Records that a version is being loaded, and with `isEmpty` that the runtime has lost what it had. False if another process works on the target now. */
export async function recordLoading(
  { db }: Pick<Database, 'db'>,
  claimed: ClaimedTarget,
  isEmpty: boolean,
): Promise<boolean> {
  const none = { deployedNumber: null, servedModel: null, deployedAt: null };
  const data = { state: 'loading', reason: null, ...(isEmpty && none) };
  return (await db.deployTarget.updateMany({ where: held(claimed), data })).count === 1;
}

/** Records that the runtime lists this version. False if another process works on the target now. */
export async function recordDeployed(
  { sql }: Pick<Database, 'sql'>,
  { teamId, id, token }: ClaimedTarget,
  { number, servedModel }: { number: number; servedModel: string },
): Promise<{ deployedSeconds: number } | null> {
  const { rows } = await sql.query<{ deployedSeconds: number }>(
    `UPDATE deploy_targets SET state = 'deployed', reason = NULL, failures = 0, failing_since = NULL, checked_at = now(),
       deployed_at = CASE WHEN deployed_number = $4 AND served_model = $5 THEN deployed_at ELSE now() END,
       deployed_number = $4, served_model = $5
     WHERE team_id = $1 AND id = $2 AND lease_token = $3
     RETURNING extract(epoch FROM now() - deployed_at)::float AS "deployedSeconds"`,
    [teamId, id, token, number, servedModel],
  );
  return rows[0] ?? null;
}

/** Records that the runtime has none of its versions, because none is wanted. */
export async function recordEmpty(
  { sql }: Pick<Database, 'sql'>,
  { teamId, id, token }: ClaimedTarget,
  reason: string,
): Promise<void> {
  await sql.query(
    `UPDATE deploy_targets SET state = 'waiting', reason = $4, failures = 0, failing_since = NULL, checked_at = now(),
       deployed_number = NULL, served_model = NULL, deployed_at = NULL
     WHERE team_id = $1 AND id = $2 AND lease_token = $3`,
    [teamId, id, token, reason],
  );
}

/** Ends the lease. The next check is in `seconds`, or immediately if something else is wanted meanwhile. */
export async function release(
  { sql }: Pick<Database, 'sql'>,
  { teamId, id, token, generation }: ClaimedTarget,
  seconds: number,
): Promise<void> {
  await sql.query(
    `UPDATE deploy_targets SET lease_until = NULL, lease_token = NULL,
       next_attempt_at = CASE WHEN generation = $4 THEN now() + make_interval(secs => $5) ELSE now() END
     WHERE team_id = $1 AND id = $2 AND lease_token = $3`,
    [teamId, id, token, generation, seconds],
  );
}

/** Records a failure, and ends the lease. Returns the seconds until the next attempt; null: lost the lease. */
export async function recordFault(
  { sql }: Pick<Database, 'sql'>,
  { teamId, id, token, generation }: ClaimedTarget,
  { message }: RuntimeFault,
  { firstSeconds, longestSeconds }: RetryLimits,
): Promise<number | null> {
  const { rows } = await sql.query<{ seconds: number }>(
    `UPDATE deploy_targets SET state = 'failing', reason = $5, failures = failures + 1, lease_until = NULL, lease_token = NULL,
       failing_since = coalesce(failing_since, now()),
       next_attempt_at = CASE WHEN generation <> $4 THEN now()
         ELSE now() + make_interval(secs => least($6 * power(2, least(failures, 30)), $7) * $8) END
     WHERE team_id = $1 AND id = $2 AND lease_token = $3
     RETURNING extract(epoch FROM next_attempt_at - now())::float AS seconds`,
    [teamId, id, token, generation, message, firstSeconds, longestSeconds, jitter()],
  );
  return rows[0]?.seconds ?? null;
}

/** Removes the row of a deleted target. `leftover`: its row, if its runtime may still have adapters, which the operator's list then shows. */
export async function removeTarget(
  db: Pick<Database, 'db'>,
  claimed: ClaimedTarget,
  leftover: Row | null = null,
): Promise<void> {
  await inTransaction(db, async (tx) => {
    const { count } = await tx.deployTarget.deleteMany({ where: held(claimed) });
    if (count === 1 && leftover) await recordLeftover(tx, leftover);
  });
}
