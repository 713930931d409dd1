import type { Database } from '../../database/database.ts';
import type { Lease } from '../job.ts';

/** Seconds after its last heartbeat during which a worker counts as alive. */
const workerAliveSeconds = 60;

/**
 * queued → dispatched, lease epoch + 1, for as many jobs as the living workers may have waiting: at most two per
 * slot dispatched or running, so that order is decided here and not by the queue. Next is always the oldest job of
 * the team with the fewest jobs at work that is below its running limit. Run it under `runExclusive('dispatch')`;
 * ring the queue for each lease returned.
 */
export async function dispatchJobs(db: Database): Promise<Lease[]> {
  const leases: Lease[] = [];
  for (;;) {
    const { rows } = await db.sql.query<Lease>(
      `WITH at_work AS (
         SELECT team_id, count(*)::int AS jobs FROM jobs WHERE state IN ('dispatched', 'running') GROUP BY team_id
       ), room AS (
         SELECT 2 * (SELECT coalesce(sum(slots), 0) FROM workers
                     WHERE NOT draining AND heartbeat_at > now() - make_interval(secs => $1))
                - (SELECT coalesce(sum(jobs), 0) FROM at_work) AS jobs
       ), next AS (
         SELECT jobs.id FROM jobs JOIN teams ON teams.id = jobs.team_id
           LEFT JOIN at_work ON at_work.team_id = jobs.team_id
         WHERE jobs.state = 'queued' AND jobs.run_after <= now()
           AND coalesce(at_work.jobs, 0) < teams.running_limit AND (SELECT jobs FROM room) > 0
         ORDER BY coalesce(at_work.jobs, 0), jobs.created_at, jobs.id
         LIMIT 1 FOR UPDATE OF jobs SKIP LOCKED
       )
       UPDATE jobs SET state = 'dispatched', lease_epoch = lease_epoch + 1, lease_until = NULL, worker_id = NULL,
                       dispatched_at = now()
       FROM next WHERE jobs.id = next.id AND jobs.state = 'queued'
       RETURNING jobs.id, jobs.lease_epoch AS epoch`,
      [workerAliveSeconds],
    );
    const lease = rows[0];
    if (!lease) return leases;
    leases.push(lease);
  }
}
