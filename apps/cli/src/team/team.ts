import type { GraftClient, Role, Wire } from '@graft/client';
import { roles } from '@graft/wire/lists';
import { type Command, Option } from 'commander';
import { type Answer, listed } from '../answer.ts';
import { timestamp } from '../draw/quantities.ts';
import { quotaView } from '../draw/quota-view.ts';
import { fields } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { given, words } from '../options/arguments.ts';
import { firstMatch, listVerb, serviceVerb, wholePage } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';
import { addAuditVerb } from './audit.ts';
import { addInvitationVerbs } from './invitations.ts';
import { addTeamKeyVerbs } from './keys.ts';

export function addTeamVerbs(program: Command): void {
  const group = noun(
    program,
    'team',
    'your team: show, quota, members, invitations, keys, exits, publishing, audit, delete',
  );

  serviceVerb(group, 'show', 'show your team').run(async ({ team }) => {
    const shown = await team.retrieve();
    const values = {
      team: shown.name,
      id: shown.id,
      'running limit': String(shown.running_limit),
      weight: String(shown.weight),
      created: timestamp(shown.created_at),
    };
    return { value: shown, text: (paint) => fields(values, paint) };
  });

  serviceVerb(group, 'quota', 'show the limits of your team and their current use').run(async ({ team }) => {
    const quota = await team.quota();
    return { value: quota, text: (paint) => quotaView(quota, paint) };
  });
  addMemberVerbs(group);
  addInvitationVerbs(group);
  addTeamKeyVerbs(group);
  addExitVerbs(group);
  addAuditVerb(group);

  const deletes =
    'permanently delete your team with its files, jobs, adapters and keys; refused while it has unfinished jobs';
  serviceVerb(group, 'delete', deletes, '--name research')
    .requiredOption('--name <name>', 'the name of the team, as confirmation')
    .run(async ({ team }, { name }: { name: string }) => ({
      value: await team.delete(name),
      text: `Deleted the team ${name}.`,
    }));
}

interface Rules {
  allow?: string[];
  disallow?: string[];
  public?: 'on' | 'off';
}

/** `graft team exits` and `graft team publishing`: what sends the team's data to other servers, and to which repositories. */
function addExitVerbs(team: Command): void {
  const lists =
    'list what sends to other servers, with its maker: webhooks, integrations, deploy targets, unfinished publications';
  serviceVerb(team, 'exits', lists, '--maker user-…', '--maker-left')
    .option('--maker <id>', 'only what this key or person made, also through other keys')
    .option('--maker-left', 'only what was made by a key or person without access')
    .run(async ({ team }, { maker, makerLeft }: { maker?: string; makerLeft?: true }) =>
      listed(
        await team.exits(given({ made_by: maker, maker_left: makerLeft })).toArray(),
        {
          ID: 'id',
          KIND: ({ kind }) => kind.replace('_', ' '),
          NAME: 'name',
          'MADE BY': ({ created_by }) => created_by ?? 'unknown',
          KEY: 'made_by_key',
          MAKER: ({ maker_left }) => (maker_left === null ? 'unknown' : maker_left ? 'left' : 'active'),
          STATE: ({ enabled }) => (enabled ? 'enabled' : 'disabled'),
        },
        'None.',
      ),
    );

  const sets = 'show and set to which repositories of the Hugging Face Hub your team may publish';
  serviceVerb(team, 'publishing', sets, '--allow acme', '--allow acme/support-* --public on')
    .option('--allow <names>', 'owners and repositories to add, separated by commas', words)
    .option('--disallow <names>', 'owners and repositories to remove, separated by commas', words)
    .addOption(new Option('--public <state>', 'whether publications may be public').choices(['on', 'off']))
    .run(async ({ team }, { allow = [], disallow = [], public: isPublic }: Rules) => {
      const before = await team.publishing();
      if (allow.length + disallow.length === 0 && isPublic === undefined) return rulesAnswer(before);
      const removed = disallow.map((name) => (name.includes('/') ? name : `${name}/*`).toLowerCase());
      const repositories = [...before.repositories.filter((name) => !removed.includes(name)), ...allow];
      return rulesAnswer(
        await team.setPublishing({
          repositories,
          ...given({ public: isPublic === undefined ? undefined : isPublic === 'on' }),
        }),
      );
    });
}

function rulesAnswer(rules: Wire.PublishingRules): Answer {
  const { repositories, public: isPublic } = rules;
  const where = repositories.length === 0 ? 'nowhere' : `to ${repositories.join(', ')}`;
  return {
    value: rules,
    text: `The team may publish ${where}, ${isPublic ? 'also in public' : 'never in public'}.`,
  };
}

function addMemberVerbs(team: Command): void {
  const members = noun(team, 'members', 'people of your team: list, role, remove, leave');

  listVerb(members, ({ team }, page) => team.members.list(page), {
    summary: 'list the people of your team',
    limit: 1_000,
    columns: {
      PERSON: 'id',
      NAME: 'name',
      EMAIL: 'email',
      ROLE: 'role',
      JOINED: ({ created_at }) => timestamp(created_at),
      STATE: ({ disabled }) => (disabled ? 'disabled by the operator' : 'active'),
    },
    empty: 'No people yet, only keys. Invite someone with: graft team invitations create',
  });

  const changes = `change the role of a member (id or email) to ${roles.join(', ')}`;
  serviceVerb(members, 'role <person> <role>', changes, 'ada@example.com admin').run(
    async (client, person: string, role: string) => {
      if (!roles.includes(role as Role)) throw new UsageError(`A role is one of ${roles.join(', ')}.`);
      const member = await client.team.members.setRole(await memberId(client, person), role as Role);
      return { value: member, text: `${member.email} is ${member.role} now.` };
    },
  );

  const removes = 'remove a member (id or email) from the team, and revoke their keys';
  serviceVerb(members, 'remove <person>', removes, 'ada@example.com', 'ada@example.com --end-exits')
    .option(
      '--end-exits',
      'also end what they made that sends to other servers (`graft team exits --maker` lists it)',
    )
    .run(async (client, person: string, { endExits }: { endExits?: true }) => {
      const exits = endExits ? 'end' : 'keep';
      const removed = await client.team.members.remove(await memberId(client, person), { exits });
      return { value: removed, text: () => describeRemoval(removed) };
    });

  const leaves = 'leave the team; all your keys in it stop working, including this one';
  serviceVerb(members, 'leave', leaves).run(async ({ team }) => ({
    value: await team.members.leave(),
    text: 'You left the team.',
  }));
}

function describeRemoval({ id, keys_left, exits_ended, exits_left }: Wire.RemovedMember): string {
  const lists = {
    'They created these keys, which still work; revoke those whose secret they may know': keys_left,
    'Disabled or ended': exits_ended,
    'They made these, which still send to other servers': exits_left,
  };
  const lines = Object.entries(lists).filter(([, ids]) => ids.length > 0);
  const done = `Removed ${id}; their keys no longer work.`;
  return [done, ...lines.map(([name, ids]) => `${name}: ${ids.join(', ')}`)].join('\n');
}

async function memberId({ team }: GraftClient, person: string): Promise<string> {
  if (!person.includes('@')) return person;
  const isMember = ({ email }: { email: string }) => email === person.toLowerCase();
  const absent = `No member has the email ${person}. \`graft team members list\` shows them.`;
  return (await firstMatch(team.members.list(wholePage), isMember, absent)).id;
}
