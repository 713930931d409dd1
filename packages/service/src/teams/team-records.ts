import { GraftError } from '@graft/peft-core/config';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { newId } from '../ids.ts';

export interface Team {
  id: string;
  /** Unique; stands in the names of the team's models. */
  name: string;
  /** Jobs that may be dispatched or running at once. */
  runningLimit: number;
  createdAt: Date;
}

/** Throws GraftError `invalid_team_name`, `team_exists`. */
export async function createTeam(
  db: Database,
  input: { name: string; runningLimit?: number | undefined },
): Promise<Team> {
  // Part of model names `ft:{base}:{team}:…`, so no colon and nothing that needs escaping in a URL.
  if (!/^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/.test(input.name)) {
    throw new GraftError(
      'invalid_team_name',
      'A team name has 1 to 40 characters: small letters, digits, inner hyphens.',
      { param: 'name' },
    );
  }
  return await inTransaction(db, async (tx) => {
    const { name, runningLimit } = input;
    const [team] = await tx.team.createManyAndReturn({
      data: { id: newId('team'), name, ...(runningLimit === undefined ? {} : { runningLimit }) },
      skipDuplicates: true,
    });
    if (!team) throw new GraftError('team_exists', `There is a team named ${name}.`, { param: 'name' });
    await insertAudit(tx, team.id, { keyId: null, action: 'team.create', target: team.id });
    return team;
  });
}

export async function listTeams({ db }: Database): Promise<Team[]> {
  return await db.team.findMany({ orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] });
}

/** By id or by name. */
export async function findTeam({ db }: Database, idOrName: string): Promise<Team | null> {
  return await db.team.findFirst({ where: { OR: [{ id: idOrName }, { name: idOrName }] } });
}
