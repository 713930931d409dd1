import type { Services, Team } from '@graft/service';
import { CommandError } from '../errors.ts';
import type { Service } from './with-services.ts';

/** By id or by name. Throws CommandError. */
export async function existingTeam(services: Services, service: Service, idOrName: string): Promise<Team> {
  const team = await service.findTeam(services, idOrName);
  if (team === null)
    throw new CommandError(`There is no team ${idOrName}. \`graft admin teams list\` shows them.`);
  return team;
}
