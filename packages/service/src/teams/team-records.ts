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

const columns = 'id, name, running_limit AS "runningLimit", created_at AS "createdAt"';

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
    const { rows } = await tx.query<Team>(
      `INSERT INTO teams (id, name, running_limit) VALUES ($1, $2, coalesce($3, 8)) ON CONFLICT (name) DO NOTHING
       RETURNING ${columns}`,
      [newId('team'), input.name, input.runningLimit ?? null],
    );
    const team = rows[0];
    if (!team) throw new GraftError('team_exists', `There is a team named ${input.name}.`, { param: 'name' });
    await insertAudit(tx, team.id, { keyId: null, action: 'team.create', target: team.id });
    return team;
  });
}

export async function listTeams(db: Database): Promise<Team[]> {
  const { rows } = await db.sql.query<Team>(`SELECT ${columns} FROM teams ORDER BY created_at, id`);
  return rows;
}

/** By id or by name. */
export async function findTeam(db: Database, idOrName: string): Promise<Team | null> {
  const { rows } = await db.sql.query<Team>(`SELECT ${columns} FROM teams WHERE id = $1 OR name = $1`, [
    idOrName,
  ]);
  return rows[0] ?? null;
}
