import type { GraftClient, Role, Wire } from '@graft/client';
import { roles } from '@graft/wire/lists';
import type { Command } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { UsageError } from '../errors.ts';
import { firstMatch, listVerb, serviceVerb, wholePage } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';

export function addMemberVerbs(team: Command): void {
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
