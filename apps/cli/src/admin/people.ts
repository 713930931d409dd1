import type { Role } from '@graft/client';
import { type Command, Option } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { CommandError } from '../errors.ts';
import { roles } from '../team/keys.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';
import { listed } from './answer.ts';
import { existingPerson } from './existing-person.ts';
import { existingTeam } from './existing-team.ts';
import { found, overApi, wholePage } from './over-api.ts';

export function addPeopleVerbs(admin: Command): void {
  const people = noun(
    admin,
    'people',
    'create, list, disable, enable, operator, no-operator, join, remove, erase, identities, unlink',
  );

  verb(people, {
    name: 'create <email>',
    summary: 'create a person, of no team yet',
    examples: ['graft admin people create ada@example.com --name "Ada Lovelace"'],
    remote: 'operator',
  })
    .requiredOption('--name <name>', 'what people call them')
    .option('--operator', 'may hold keys of the operator')
    .action(
      overApi(async ({ admin }, { name, operator = false }: CreateOptions, email: string) => {
        const made = await admin.people.create({ email, name, is_operator: operator });
        return { value: made, text: `${made.email} is ${made.id}.` };
      }),
    );

  verb(people, {
    name: 'list',
    summary: 'list all people, newest first',
    examples: ['graft admin people list'],
    remote: 'operator',
  }).action(
    overApi(({ admin }) =>
      listed(
        admin.people.list(wholePage),
        {
          PERSON: ({ id }) => id,
          NAME: ({ name }) => name,
          EMAIL: ({ email }) => email,
          SINCE: (person) => timestamp(person.created_at),
          STATE: (person) => (person.disabled_at ? 'disabled' : person.is_operator ? 'operator' : 'active'),
        },
        'No people yet. Create one with: graft admin people create EMAIL --name NAME',
      ),
    ),
  );

  const changes = {
    disable: [{ disabled: true }, 'stop all keys of a person, in every team, immediately', 'is disabled'],
    enable: [{ disabled: false }, 'let the keys of a person work again', 'is enabled'],
    operator: [{ is_operator: true }, 'let a person hold keys of the operator', 'may operate the service'],
    'no-operator': [
      { is_operator: false },
      "end a person's keys of the operator",
      'no longer operates the service',
    ],
  } as const;
  for (const [name, [change, summary, done]] of Object.entries(changes)) {
    verb(people, {
      name: `${name} <person>`,
      summary: `${summary}; named by id or email`,
      examples: [`graft admin people ${name} ada@example.com`],
      remote: 'operator',
    }).action(
      overApi(async ({ admin }, _options: RemoteOptions, idOrEmail: string) => {
        const person = await admin.people.update((await existingPerson(admin, idOrEmail)).id, change);
        return { value: person, text: `${person.email} ${done}.` };
      }),
    );
  }

  addMembershipVerbs(people);

  verb(people, {
    name: 'erase <person>',
    summary: 'replace name and email of a person for good, and end all keys, sessions and memberships',
    examples: ['graft admin people erase ada@example.com --email ada@example.com'],
    remote: 'operator',
  })
    .requiredOption('--email <email>', 'the email of the person once more, to be sure')
    .action(
      overApi(async ({ admin }, options: RemoteOptions & { email: string }, idOrEmail: string) => {
        const { id, email } = await existingPerson(admin, idOrEmail);
        if (options.email.toLowerCase() !== email)
          throw new CommandError(`--email is not the email of ${id}: nobody was erased.`);
        const { deleted: erased } = await admin.people.erase(id);
        return { value: { person_id: id, erased }, text: `${id} names nobody any more.` };
      }),
    );

  addIdentityVerbs(people);
}

interface CreateOptions extends RemoteOptions {
  name: string;
  operator?: boolean;
}

function addMembershipVerbs(people: Command): void {
  verb(people, {
    name: 'join <person>',
    summary: 'make a person a member of a team, or change their role there',
    examples: ['graft admin people join ada@example.com --team research --role admin'],
    remote: 'operator',
  })
    .requiredOption('--team <team>', 'id or name of the team')
    .addOption(new Option('--role <role>', 'what they may do').choices(roles).default('member'))
    .action(
      overApi(async ({ admin }, options: RemoteOptions & { team: string; role: Role }, idOrEmail: string) => {
        const team = await existingTeam(admin, options.team);
        const person = await existingPerson(admin, idOrEmail);
        const { email, role } = await admin.teams.setMember(team.id, person.id, options.role);
        return {
          value: { person_id: person.id, email, team: team.name, role },
          text: `${email} is ${role} of team ${team.name}.`,
        };
      }),
    );

  verb(people, {
    name: 'remove <person>',
    summary: 'remove a person from a team, and revoke their keys there',
    examples: ['graft admin people remove ada@example.com --team research'],
    remote: 'operator',
  })
    .requiredOption('--team <team>', 'id or name of the team')
    .action(
      overApi(async ({ admin }, options: RemoteOptions & { team: string }, idOrEmail: string) => {
        const team = await existingTeam(admin, options.team);
        const { id, email } = await existingPerson(admin, idOrEmail);
        const { keys_left } = await found(
          admin.teams.removeMember(team.id, id),
          `${email} is no member of team ${team.name}.`,
        );
        const value = { person_id: id, email, team: team.name, removed: true, keys_left };
        return { value, text: `${email} is out of team ${team.name}.` };
      }),
    );
}

/** By what a person signs in. */
function addIdentityVerbs(people: Command): void {
  verb(people, {
    name: 'identities <person>',
    summary: 'list the identities at providers by which a person signs in',
    examples: ['graft admin people identities ada@example.com'],
    remote: 'operator',
  }).action(
    overApi(async ({ admin }, _options: RemoteOptions, idOrEmail: string) =>
      listed(
        admin.people.identities((await existingPerson(admin, idOrEmail)).id),
        {
          IDENTITY: ({ id }) => id,
          PROVIDER: ({ issuer }) => issuer,
          SUBJECT: ({ subject }) => subject,
          LINKED: (identity) => timestamp(identity.created_at),
          'LAST SIGN-IN': (identity) => timestamp(identity.last_seen_at),
        },
        'None: this person has never signed in at a provider.',
      ),
    ),
  );

  verb(people, {
    name: 'unlink <person> <identity>',
    summary: 'unlink an identity from a person, and end its sessions',
    examples: ['graft admin people unlink ada@example.com ident-…'],
    remote: 'operator',
  }).action(
    overApi(async ({ admin }, _options: RemoteOptions, idOrEmail: string, identity: string) => {
      const { id, email } = await existingPerson(admin, idOrEmail);
      await found(
        admin.people.unlink(id, identity),
        `${email} has no identity ${identity}. \`graft admin people identities ${email}\` shows them.`,
      );
      return {
        value: { person_id: id, email, identity_id: identity, unlinked: true },
        text: `${identity} is unlinked from ${email}, and its sessions have ended.`,
      };
    }),
  );
}
