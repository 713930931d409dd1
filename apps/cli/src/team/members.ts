import type { Role } from '@graft/client';
import type { Command } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { CommandError, UsageError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { connect } from '../remote/connect.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';
import { roles } from './keys.ts';

export function addMemberVerbs(team: Command): void {
  const members = noun(team, 'members', 'people of your team: list, role, remove, leave');

  verb(members, {
    name: 'list',
    summary: 'list the people of your team',
    examples: ['graft team members list'],
    remote: true,
  })
    .option('--limit <n>', 'at most this many', wholeNumber(1), 1_000)
    .action(async (options: RemoteOptions & { limit: number }) => {
      const output = createOutput(options);
      const list = (await connect(options)).team.members.list({ limit: Math.min(options.limit, 1_000) });
      const data = await list.toArray(options.limit);
      output.result({ object: 'list', data }, () =>
        table(
          ['PERSON', 'NAME', 'EMAIL', 'ROLE', 'JOINED', 'STATE'],
          data.map((member) => [
            member.id,
            member.name,
            member.email,
            member.role,
            timestamp(member.created_at),
            member.disabled ? 'disabled by the operator' : 'active',
          ]),
          output.paint,
          'No people yet, only keys. Invite someone with: graft team invitations create',
        ),
      );
    });

  verb(members, {
    name: 'role <person> <role>',
    summary: `change the role of a member (id or email) to ${roles.join(', ')}`,
    examples: ['graft team members role ada@example.com admin'],
    remote: true,
  }).action(async (person: string, role: string, options: RemoteOptions) => {
    if (!roles.includes(role as Role)) throw new UsageError(`A role is one of ${roles.join(', ')}.`);
    const client = await connect(options);
    const member = await client.team.members.setRole(await memberId(client, person), role as Role);
    createOutput(options).result(member, () => `${member.email} is ${member.role} now.`);
  });

  verb(members, {
    name: 'remove <person>',
    summary: 'remove a member (id or email) from the team, and revoke their keys',
    examples: ['graft team members remove ada@example.com'],
    remote: true,
  }).action(async (person: string, options: RemoteOptions) => {
    const client = await connect(options);
    const removed = await client.team.members.remove(await memberId(client, person));
    createOutput(options).result(removed, () => {
      const done = `Removed ${removed.id}; their keys no longer work.`;
      if (removed.keys_left.length === 0) return done;
      return `${done}\nThey created these keys, which still work; revoke those whose secret they may know: ${removed.keys_left.join(', ')}`;
    });
  });

  verb(members, {
    name: 'leave',
    summary: 'leave the team; all your keys in it stop working, including this one',
    examples: ['graft team members leave'],
    remote: true,
  }).action(async (options: RemoteOptions) => {
    const left = await (await connect(options)).team.members.leave();
    createOutput(options).result(left, () => 'You left the team.');
  });
}

async function memberId(client: Awaited<ReturnType<typeof connect>>, person: string): Promise<string> {
  if (!person.includes('@')) return person;
  for await (const member of client.team.members.list({ limit: 1_000 })) {
    if (member.email === person.toLowerCase()) return member.id;
  }
  throw new CommandError(`No member has the email ${person}. \`graft team members list\` shows them.`);
}
