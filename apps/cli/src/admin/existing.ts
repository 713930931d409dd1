import type { GraftClient, Person, TeamObject } from '@graft/client';
import { firstMatch, wholePage } from '../remote/service-verb.ts';

export type Admin = GraftClient['admin'];

/** Finds a team by id or name. Throws CommandError. */
export const existingTeam = ({ teams }: Pick<Admin, 'teams'>, idOrName: string): Promise<TeamObject> =>
  firstMatch(
    teams.list(wholePage),
    ({ id, name }) => id === idOrName || name === idOrName,
    `There is no team ${idOrName}. \`graft admin teams list\` shows them.`,
  );

/** Finds a person by id or email. Throws CommandError. */
export const existingPerson = ({ people }: Pick<Admin, 'people'>, idOrEmail: string): Promise<Person> =>
  firstMatch(
    people.list(wholePage),
    ({ id, email }) => id === idOrEmail || email === idOrEmail.toLowerCase(),
    `There is no person ${idOrEmail}. \`graft admin people list\` shows them.`,
  );
