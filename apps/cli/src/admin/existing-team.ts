import type { TeamObject } from '@graft/client';
import { CommandError } from '../errors.ts';
import { type Admin, wholePage } from './operator-verb.ts';

/** Finds a team by id or name. Throws CommandError. */
export async function existingTeam({ teams }: Pick<Admin, 'teams'>, idOrName: string): Promise<TeamObject> {
  for await (const team of teams.list(wholePage)) if ([team.id, team.name].includes(idOrName)) return team;
  throw new CommandError(`There is no team ${idOrName}. \`graft admin teams list\` shows them.`);
}
