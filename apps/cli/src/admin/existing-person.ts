import type { Person } from '@graft/client';
import { CommandError } from '../errors.ts';
import { type Admin, wholePage } from './over-api.ts';

/** By id or by email. Throws CommandError. */
export async function existingPerson({ people }: Admin, idOrEmail: string): Promise<Person> {
  const email = idOrEmail.toLowerCase();
  for await (const person of people.list(wholePage))
    if (person.id === idOrEmail || person.email === email) return person;
  throw new CommandError(`There is no person ${idOrEmail}. \`graft admin people list\` shows them.`);
}
