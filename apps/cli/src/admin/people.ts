import type { Role } from '@graft/client';
import type { Command } from 'commander';
import { listed, time } from '../answer.ts';
import { CommandError } from '../errors.ts';
import { found, listVerb, serviceVerb } from '../remote/service-verb.ts';
import { roleOption } from '../team/key-options.ts';
import { noun } from '../verb.ts';
import { existingPerson, existingTeam } from './existing.ts';

const changes = {
  disable: {
    change: { disabled: true },
    summary: 'disable all keys of a person, in every team, immediately',
    done: 'is disabled',
  },
  enable: { change: { disabled: false }, summary: 'enable the keys of a person again', done: 'is enabled' },
  operator: {
    change: { is_operator: true },
    summary: 'allow a person to own operator keys',
    done: 'may operate the service',
  },
  'no-operator': {
    change: { is_operator: false },
    summary: "revoke a person's operator keys and the right to own them",
    done: 'no longer operates the service',
  },
};

export function addPeopleVerbs(admin: Command): void {
  const about =
    'people: create, list, disable, enable, operator, no-operator, join, remove, erase, identities, unlink';
  const people = noun(admin, 'people', about);

  const creates = 'create a person, who is in no team yet';
  serviceVerb(people, 'create <email>', creates, 'ada@example.com --name "Ada Lovelace"')
    .requiredOption('--name <name>', 'full name')
    .option('--operator', 'allow the person to own operator keys')
    .run(async ({ admin }, email: string, options: { name: string; operator?: boolean }) => {
      const { name, operator: is_operator = false } = options;
      const made = await admin.people.create({ email, name, is_operator });
      return { value: made, text: `${made.email} is ${made.id}.` };
    });

  listVerb(people, ({ admin }, page) => admin.people.list(page), {
    summary: 'list all people, newest first',
    columns: {
      PERSON: 'id',
      NAME: 'name',
      EMAIL: 'email',
      SINCE: (person) => time(person.created_at),
      STATE: (person) => (person.disabled_at ? 'disabled' : person.is_operator ? 'operator' : 'active'),
    },
    empty: 'No people yet. Create one with: graft admin people create EMAIL --name NAME',
  });

  for (const [name, { change, summary, done }] of Object.entries(changes)) {
    serviceVerb(people, `${name} <person>`, `${summary}; named by id or email`, 'ada@example.com').run(
      async ({ admin }, idOrEmail: string) => {
        const person = await admin.people.update((await existingPerson(admin, idOrEmail)).id, change);
        return { value: person, text: `${person.email} ${done}.` };
      },
    );
  }

  addMembershipVerbs(people);

  const erases =
    'permanently erase the name and email of a person, and end all keys, sessions and memberships';
  serviceVerb(people, 'erase <person>', erases, 'ada@example.com --email ada@example.com')
    .requiredOption('--email <email>', 'the email of the person again, as confirmation')
    .run(async ({ admin }, idOrEmail: string, options: { email: string }) => {
      const { id, email } = await existingPerson(admin, idOrEmail);
      if (options.email.toLowerCase() !== email)
        throw new CommandError(`--email must be the email of ${id}. Nobody was erased.`);
      const { deleted: erased } = await admin.people.erase(id);
      return { value: { person_id: id, erased }, text: `Erased the name and email of ${id}.` };
    });

  addIdentityVerbs(people);
}

function addMembershipVerbs(people: Command): void {
  const joins = 'add a person to a team, or change their role there';
  serviceVerb(people, 'join <person>', joins, 'ada@example.com --team research --role admin')
    .requiredOption('--team <team>', 'id or name of the team')
    .addOption(roleOption('role in the team', 'member'))
    .run(async ({ admin }, idOrEmail: string, options: { team: string; role: Role }) => {
      const { id: team_id, name: team } = await existingTeam(admin, options.team);
      const { id: person_id } = await existingPerson(admin, idOrEmail);
      const { email, role } = await admin.teams.setMember(team_id, person_id, options.role);
      return { value: { person_id, email, team, role }, text: `${email} is ${role} of team ${team}.` };
    });

  const removes = 'remove a person from a team, and revoke their keys there';
  serviceVerb(people, 'remove <person>', removes, 'ada@example.com --team research')
    .requiredOption('--team <team>', 'id or name of the team')
    .run(async ({ admin }, idOrEmail: string, options: { team: string }) => {
      const { id: team_id, name: team } = await existingTeam(admin, options.team);
      const { id: person_id, email } = await existingPerson(admin, idOrEmail);
      const absent = `${email} is not a member of team ${team}.`;
      const { keys_left } = await found(admin.teams.removeMember(team_id, person_id), absent);
      const value = { person_id, email, team, removed: true, keys_left };
      return { value, text: `Removed ${email} from team ${team}.` };
    });
}

function addIdentityVerbs(people: Command): void {
  const lists = 'list the identities (accounts at sign-in providers) of a person';
  serviceVerb(people, 'identities <person>', lists, 'ada@example.com').run(
    async ({ admin }, idOrEmail: string) =>
      listed(
        await admin.people.identities((await existingPerson(admin, idOrEmail)).id).toArray(),
        {
          IDENTITY: 'id',
          PROVIDER: 'issuer',
          SUBJECT: 'subject',
          LINKED: (identity) => time(identity.created_at),
          'LAST SIGN-IN': (identity) => time(identity.last_seen_at),
        },
        'None: this person has never signed in at a provider.',
      ),
  );

  const unlinks = 'unlink an identity from a person, and end its sessions';
  serviceVerb(people, 'unlink <person> <identity>', unlinks, 'ada@example.com ident-…').run(
    async ({ admin }, idOrEmail: string, identity_id: string) => {
      const { id: person_id, email } = await existingPerson(admin, idOrEmail);
      const shows = `\`graft admin people identities ${email}\` shows them`;
      const absent = `${email} has no identity ${identity_id}. ${shows}.`;
      await found(admin.people.unlink(person_id, identity_id), absent);
      const value = { person_id, email, identity_id, unlinked: true };
      return { value, text: `${identity_id} is unlinked from ${email}, and its sessions have ended.` };
    },
  );
}
