import type { Person } from '@graft/client';
import { CommandError } from '../errors.ts';
import { type Admin, wholePage } from './operator-verb.ts';

/** Finds a person by id or email. Throws CommandError. */
export async function existingPerson({ people }: Pick<Admin, 'people'>, idOrEmail: string): Promise<Person> {
  const email = idOrEmail.toLowerCase();
  for await (const person of people.list(wholePage))
    if (person.id === idOrEmail || person.email === email) return person;
  throw new CommandError(`There is no person ${idOrEmail}. \`graft admin people list\` shows them.`);
}
