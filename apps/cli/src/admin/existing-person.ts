import type { PersonRecord, Services } from '@graft/service';
import { CommandError } from '../errors.ts';
import type { Service } from './with-services.ts';

/** By id or by email. Throws CommandError. */
export async function existingPerson(
  services: Services,
  service: Service,
  idOrEmail: string,
): Promise<PersonRecord> {
  const person = await service.findPerson(services, idOrEmail);
  if (person === null)
    throw new CommandError(`There is no person ${idOrEmail}. \`graft admin people list\` shows them.`);
  return person;
}
