import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import { type Database, deleteInBatches } from '../database/database.ts';
import { isDatabaseUnavailable } from '../database/database-unavailable.ts';
import { runExclusive } from '../database/run-exclusive.ts';
import { withTeamLocked } from './lock-team.ts';

/** Seconds after which a deploy target of a deleted team, like any deleted one, is removed even if its runtime never answered. */
export const giveUpTargetsSeconds = 24 * 3600;

/**
 * Deletes a team, whose name must be given as confirmation: access ends at once, and the name is free. `purgeDeletedTeams` removes its
 * rows, and the collector its bytes a day later; its audit rows stay. Runtimes unload its adapters first. Returns false if there is no such team. Throws GraftError
 * `wrong_team_name`, and `team_has_jobs` while the team has an unfinished job.
 */
export async function deleteTeam(
  db: Database,
  teamId: string,
  name: string,
  by: Actor | null,
): Promise<boolean> {
  const done = await withTeamLocked(db, teamId, { alone: true }, async (tx) => {
    const team = await tx.team.findFirstOrThrow({ where: { id: teamId } });
    if (team.name !== name) {
      throw new GraftError('wrong_team_name', `The team is not named '${name}': nothing was deleted.`, {
        param: 'name',
      });
    }
    const live = await tx.job.count({
      where: { teamId, state: { notIn: ['succeeded', 'failed', 'cancelled'] } },
    });
    if (live > 0) {
      throw new GraftError(
        'team_has_jobs',
        `${live === 1 ? 'A job' : `${live} jobs`} of the team ${live === 1 ? 'has' : 'have'} not ended: cancel or await them first.`,
        { param: null },
      );
    }
    await tx.$executeRaw`
      UPDATE teams SET deleted_at = now(), name = name || ' deleted ' || id WHERE id = ${teamId}`;
    await tx.$executeRaw`
      UPDATE api_keys SET revoked_at = now() WHERE team_id = ${teamId} AND revoked_at IS NULL`;
    await tx.deployTarget.updateMany({
      where: { teamId, deletedAt: null },
      data: { deletedAt: new Date(), generation: { increment: 1 }, failures: 0, nextAttemptAt: new Date(0) },
    });
    await insertAudit(tx, teamId, by, { action: 'team.delete', target: teamId, detail: { name } });
    return true;
  });
  return done ?? false;
}

/** Tables that may have many rows of a team, ordered so that no foreign key is violated. Other rows are removed with the team's row. */
const large = [
  'job_metrics',
  'job_events',
  'job_attempts',
  'checkpoints',
  'checkpoint_adapters',
  'adapter_exports',
  'publications',
  'adapter_tags',
  'adapter_versions',
  'adapters',
  'idempotency_keys',
  'validation_results',
  'job_metadata',
  'job_integrations',
  'job_trials',
  'jobs',
  'files',
  'webhook_deliveries',
  'upload_parts',
  'uploads',
];

/**
 * Removes the rows of deleted teams in batches; one process at a time does it. A team whose deploy targets are not unloaded yet waits until
 * they are removed in any case, and an hour more. Returns the number of teams. A team whose rows cannot be deleted delays no other: the
 * error is thrown at the end.
 */
export async function purgeDeletedTeams(db: Database, stopping?: AbortSignal): Promise<number> {
  const turn = await runExclusive(db, 'purge-teams', async () => {
    const teams = await db.db.team.findMany({
      where: {
        deletedAt: { not: null },
        OR: [
          { deployTargets: { none: {} } },
          { deletedAt: { lt: new Date(Date.now() - (giveUpTargetsSeconds + 3600) * 1000) } },
        ],
      },
      select: { id: true },
      orderBy: { deletedAt: 'asc' },
      take: 100,
    });
    let purged = 0;
    const faults: unknown[] = [];
    for (const { id } of teams) {
      try {
        for (const table of large) {
          if (!(await deleteInBatches(db, table, 'team_id = $1', [id], stopping))) return purged;
        }
        await db.db.team.deleteMany({ where: { id } });
        purged += 1;
      } catch (error) {
        if (isDatabaseUnavailable(error)) throw error;
        faults.push(error);
      }
    }
    if (faults.length > 0) throw faults[0];
    return purged;
  });
  return turn.ran ? turn.result : 0;
}
