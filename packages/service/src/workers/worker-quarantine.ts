/** Quarantine: a worker that cannot work gets no jobs, as it would fail one job after another. */
import type { Database } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import { instruments } from '../observe/instruments.ts';

/** Number of consecutive environment errors after which a worker is quarantined. */
const faultLimit = 3;

export interface WorkerHealth {
  consecutiveFaults: number;
  quarantinedAt: Date | null;
  quarantineReason: string | null;
}

const health = `consecutive_faults AS "consecutiveFaults", quarantined_at AS "quarantinedAt",
  quarantine_reason AS "quarantineReason"`;

/**
 * Counts an environment error of the worker; the third in a row quarantines it: it gets no jobs until
 * `clearWorkerFaults`. `reason` is in plain language, for operators. Null if the row is gone: register again.
 */
export async function recordWorkerFault(
  { sql }: Pick<Database, 'sql'>,
  id: string,
  reason: string,
): Promise<WorkerHealth | null> {
  // The error may occur within the scope of a team's job, so widen the scope.
  const { rows } = await withSystemScope(() =>
    sql.query<WorkerHealth>(
      `UPDATE workers SET consecutive_faults = consecutive_faults + 1,
         quarantined_at = CASE WHEN consecutive_faults + 1 >= $3 THEN coalesce(quarantined_at, now())
                               ELSE quarantined_at END,
         quarantine_reason = CASE WHEN consecutive_faults + 1 >= $3 THEN coalesce(quarantine_reason, $2)
                                  ELSE quarantine_reason END
       WHERE id = $1 RETURNING ${health}`,
      [id, reason, faultLimit],
    ),
  );
  instruments.environmentFaults.inc();
  return rows[0] ?? null;
}

/** Quarantines a worker that knows that it cannot work. Null if the row is gone. */
export async function quarantineWorker(
  { sql }: Pick<Database, 'sql'>,
  id: string,
  reason: string,
): Promise<WorkerHealth | null> {
  const { rows } = await sql.query<WorkerHealth>(
    `UPDATE workers SET quarantined_at = coalesce(quarantined_at, now()), quarantine_reason = $2
     WHERE id = $1 RETURNING ${health}`,
    [id, reason],
  );
  return rows[0] ?? null;
}

/** Clears the quarantine and the count of errors after the worker has passed its check. Null if the row is gone. */
export async function clearWorkerFaults(
  { sql }: Pick<Database, 'sql'>,
  id: string,
): Promise<WorkerHealth | null> {
  const { rows } = await sql.query<WorkerHealth>(
    `UPDATE workers SET consecutive_faults = 0, quarantined_at = NULL, quarantine_reason = NULL
     WHERE id = $1 RETURNING ${health}`,
    [id],
  );
  return rows[0] ?? null;
}
