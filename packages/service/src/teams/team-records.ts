import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { listRows, type Page, type PageOptions } from '../database/read-page.ts';
import type { NewTeamQuota } from '../environment/env.ts';
import type { Team as TeamRow } from '../generated/client.ts';
import { newId } from '../ids.ts';

export interface Team {
  id: string;
  /** Unique; part of the names of the team's models. */
  name: string;
  /** Maximum number of jobs that are dispatched or running. */
  runningLimit: number;
  /** Weight by which the machines are shared among the teams that have work: 1 to `maxWeight`. */
  weight: number;
  createdAt: Date;
}

/** Creates a team. Throws GraftError `invalid_team_name`, `team_exists`. */
export async function createTeam(
  db: Database,
  input: {
    name: string;
    runningLimit?: number | undefined;
    weight?: number | undefined;
    /** Default: no limits. */
    quota?: NewTeamQuota;
  },
  by: Actor | null = null,
): Promise<Team> {
  // The name is part of model names `ft:{base}:{team}:…`, so it has no colon and nothing that URLs must escape.
  if (!/^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/.test(input.name)) {
    throw new GraftError(
      'invalid_team_name',
      'A team name has 1 to 40 characters: small letters, digits, inner hyphens.',
      { param: 'name' },
    );
  }
  return await inTransaction(db, async (tx) => {
    const { name, runningLimit, weight, quota } = input;
    const [team] = await tx.team.createManyAndReturn({
      data: {
        id: newId('team'),
        name,
        ...(runningLimit === undefined ? {} : { runningLimit }),
        ...(weight === undefined ? {} : { weight }),
      },
      skipDuplicates: true,
    });
    if (!team) throw new GraftError('team_exists', `There is a team named ${name}.`, { param: 'name' });
    if (quota) await tx.teamQuota.create({ data: { teamId: team.id, ...quota } });
    await insertAudit(tx, team.id, by, { action: 'team.create', target: team.id });
    return teamOf(team);
  });
}

export async function updateTeam(
  db: Database,
  id: string,
  change: { runningLimit?: number | undefined; weight?: number | undefined },
  by: Actor | null = null,
): Promise<Team | null> {
  return await inTransaction(db, async (tx) => {
    const data = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
    const { count } = await tx.team.updateMany({ where: { id, deletedAt: null }, data });
    if (count === 0) return null;
    const { runningLimit, weight } = change;
    const detail = {
      ...(runningLimit === undefined ? {} : { running_limit: runningLimit }),
      ...(weight === undefined ? {} : { weight }),
    };
    await insertAudit(tx, id, by, { action: 'team.update', target: id, detail });
    return teamOf(await tx.team.findFirstOrThrow({ where: { id } }));
  });
}

const teamOf = ({ deletedAt: _, ...team }: TeamRow): Team => team;

const living = { deletedAt: null };

/** Reads a page of teams, newest first; with `name` at most the team of this name. Throws GraftError `invalid_cursor`. */
export async function readTeams(
  { db }: Database,
  { name, ...options }: PageOptions & { name?: string | undefined },
): Promise<Page<Team>> {
  const filter = name === undefined ? {} : { name };
  return await listRows(db.team, options, { where: living, filter }, teamOf);
}

export async function findTeam({ db }: Database, idOrName: string): Promise<Team | null> {
  const row = await db.team.findFirst({ where: { ...living, OR: [{ id: idOrName }, { name: idOrName }] } });
  return row && teamOf(row);
}
