import type pg from 'pg';
import { type Job, type JobState, jobColumns } from '../job.ts';

export interface JobLock {
  state: JobState;
  pauseRequested: boolean;
  /** Runs the assignments (constant SQL) on the locked row. */
  update(assignments: string): Promise<Job>;
}

/** Locks a team's job until the caller's transaction ends, so that its state cannot change under a decision. */
export async function lockJob(tx: pg.PoolClient, teamId: string, id: string): Promise<JobLock | null> {
  const { rows } = await tx.query<{ state: JobState; pauseRequested: boolean }>(
    `SELECT state, pause_requested_at IS NOT NULL AS "pauseRequested" FROM jobs
     WHERE team_id = $1 AND id = $2 FOR UPDATE`,
    [teamId, id],
  );
  const row = rows[0];
  if (!row) return null;
  return {
    ...row,
    update: async (assignments) => {
      const updated = await tx.query<Job>(
        `UPDATE jobs SET ${assignments} WHERE team_id = $1 AND id = $2 RETURNING ${jobColumns}`,
        [teamId, id],
      );
      return updated.rows[0]!;
    },
  };
}
