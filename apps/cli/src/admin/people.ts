import type { PersonRecord, Role } from '@graft/service';
import { type Command, Option } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { CommandError } from '../errors.ts';
import { createOutput, type Output } from '../output.ts';
import { roles } from '../team/keys.ts';
import { noun, type VerbOptions, verb } from '../verb.ts';
import { existingPerson } from './existing-person.ts';
import { existingTeam } from './existing-team.ts';
import { addIdentityVerbs } from './identities.ts';
import { unixSeconds, withServices } from './with-services.ts';

export function addPeopleVerbs(admin: Command): void {
  const people = noun(
    admin,
    'people',
    'create, list, disable, enable, operator, no-operator, join, remove, erase, identities, unlink',
  );

  verb(people, {
    name: 'create <email>',
    summary: 'make a person, of no team yet',
    examples: ['graft admin people create ada@example.com --name "Ada Lovelace"'],
  })
    .requiredOption('--name <name>', 'what people call them')
    .option('--operator', 'may hold keys of the operator')
    .action(async (email: string, options: VerbOptions & { name: string; operator?: boolean }) => {
      const made = await withServices((services, { createPerson }) =>
        createPerson(services, { email, name: options.name, isOperator: options.operator === true }),
      );
      createOutput(options).result(wirePerson(made), () => `${made.email} is ${made.id}.`);
    });

  verb(people, {
    name: 'list',
    summary: 'list everybody whom the service knows, newest first',
    examples: ['graft admin people list'],
  }).action(async (options: VerbOptions) => {
    const output = createOutput(options);
    const data = await withServices((services, { listPeople }) =>
      everyPage((page) => listPeople(services, page)),
    );
    tellPeople(output, data);
  });

  const changes = {
    disable: [{ isDisabled: true }, 'stop all keys of a person, in every team, at once', 'is disabled'],
    enable: [{ isDisabled: false }, 'let the keys of a person work again', 'is enabled'],
    operator: [{ isOperator: true }, 'let a person hold keys of the operator', 'may operate the service'],
    'no-operator': [
      { isOperator: false },
      "end a person's keys of the operator",
      'operates the service no more',
    ],
  } as const;
  for (const [name, [change, summary, done]] of Object.entries(changes)) {
    verb(people, {
      name: `${name} <person>`,
      summary: `${summary}; named by id or email`,
      examples: [`graft admin people ${name} ada@example.com`],
    }).action(async (idOrEmail: string, options: VerbOptions) => {
      const person = await withServices(async (services, service) => {
        const { id } = await existingPerson(services, service, idOrEmail);
        return await service.updatePerson(services, id, change);
      });
      createOutput(options).result(wirePerson(person!), () => `${person!.email} ${done}.`);
    });
  }

  verb(people, {
    name: 'join <person>',
    summary: 'make a person a member of a team, or change their role there',
    examples: ['graft admin people join ada@example.com --team research --role admin'],
  })
    .requiredOption('--team <team>', 'id or name of the team')
    .addOption(new Option('--role <role>', 'what they may do').choices(roles).default('member'))
    .action(async (idOrEmail: string, options: VerbOptions & { team: string; role: Role }) => {
      const done = await withServices(async (services, service) => {
        const team = await existingTeam(services, service, options.team);
        const { id } = await existingPerson(services, service, idOrEmail);
        const member = await service.putMember(services, team.id, id, options.role);
        return { person_id: id, email: member!.email, team: team.name, role: member!.role };
      });
      createOutput(options).result(done, () => `${done.email} is ${done.role} of team ${done.team}.`);
    });

  verb(people, {
    name: 'remove <person>',
    summary: 'take a person out of a team, and revoke their keys there',
    examples: ['graft admin people remove ada@example.com --team research'],
  })
    .requiredOption('--team <team>', 'id or name of the team')
    .action(async (idOrEmail: string, options: VerbOptions & { team: string }) => {
      const done = await withServices(async (services, service) => {
        const team = await existingTeam(services, service, options.team);
        const { id, email } = await existingPerson(services, service, idOrEmail);
        const removed = await service.removeMember(services, team.id, id, null);
        if (!removed) throw new CommandError(`${email} is no member of team ${team.name}.`);
        return { person_id: id, email, team: team.name, removed: true, keys_left: removed.keysLeft };
      });
      createOutput(options).result(done, () => `${done.email} is out of team ${done.team}.`);
    });

  verb(people, {
    name: 'erase <person>',
    summary: 'replace name and email of a person for good, and end all that they have',
    examples: ['graft admin people erase ada@example.com --email ada@example.com'],
  })
    .requiredOption('--email <email>', 'the email of the person once more, to be sure')
    .action(async (idOrEmail: string, options: VerbOptions & { email: string }) => {
      const done = await withServices(async (services, service) => {
        const { id, email } = await existingPerson(services, service, idOrEmail);
        if (options.email.toLowerCase() !== email)
          throw new CommandError(`--email is not the email of ${id}: nobody was erased.`);
        return { person_id: id, erased: await service.erasePerson(services, id) };
      });
      createOutput(options).result(done, () => `${done.person_id} names nobody any more.`);
    });

  addIdentityVerbs(people);
}

/** Every row of a list that comes by the page. */
export async function everyPage<T extends { id: string }>(
  read: (page: { after?: string; limit: number }) => Promise<{ data: T[]; hasMore: boolean }>,
): Promise<T[]> {
  const rows: T[] = [];
  for (;;) {
    const last = rows.at(-1);
    const page = await read({ limit: 1_000, ...(last ? { after: last.id } : {}) });
    rows.push(...page.data);
    if (!page.hasMore) return rows;
  }
}

function tellPeople(output: Output, people: PersonRecord[]): void {
  output.result({ object: 'list', data: people.map(wirePerson) }, () =>
    table(
      ['PERSON', 'NAME', 'EMAIL', 'SINCE', 'STATE'],
      people.map((person) => [
        person.id,
        person.name,
        person.email,
        timestamp(unixSeconds(person.createdAt)),
        person.disabledAt ? 'disabled' : person.isOperator ? 'operator' : 'active',
      ]),
      output.paint,
      'Nobody yet. Make somebody with: graft admin people create EMAIL --name NAME',
    ),
  );
}

/** Field names and times as the API has them. */
const wirePerson = (person: PersonRecord) => ({
  id: person.id,
  email: person.email,
  name: person.name,
  is_operator: person.isOperator,
  created_at: unixSeconds(person.createdAt),
  disabled_at: person.disabledAt && unixSeconds(person.disabledAt),
});
