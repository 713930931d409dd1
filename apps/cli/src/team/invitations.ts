import type { CreatedInvitation, Invitation, Role } from '@graft/client';
import { type Command, Option } from 'commander';
import { timeSpan, wholeNumber } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { createOutput } from '../output.ts';
import { connect } from '../remote/connect.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';
import { roles } from './keys.ts';

export function addInvitationVerbs(team: Command): void {
  const invitations = noun(team, 'invitations', 'invitations to your team: create, list, revoke');

  verb(invitations, {
    name: 'create',
    summary: 'create an invitation link for one person and print it; it cannot be shown again',
    examples: ['graft team invitations create --email ada@example.com --role admin'],
    remote: true,
  })
    .option('--email <email>', 'only for this email (default: anyone who has the link)')
    .addOption(new Option('--role <role>', 'role in the team').choices(roles).default('member'))
    .option('--expires <time>', 'lifetime, such as 12h or 30d (default: 7d)', timeSpan)
    .action(async (options: RemoteOptions & { email?: string; role: Role; expires?: number }) => {
      const output = createOutput(options);
      const client = await connect(options);
      const made = await client.team.invitations.create({
        email: options.email ?? null,
        role: options.role,
        ...(options.expires === undefined ? {} : { expires_in: options.expires }),
      });
      const link = linkOf(client.baseUrl, made);
      output.result({ ...made, link }, () => link);
      output.note(
        `The first person who opens it in a browser or with \`graft join\` joins as ${made.role}. It works until ${timestamp(made.expires_at)} and is shown only once.`,
      );
    });

  verb(invitations, {
    name: 'list',
    summary: 'list invitations, newest first, without their links, which are not stored',
    examples: ['graft team invitations list'],
    remote: true,
  })
    .option('--limit <n>', 'at most this many', wholeNumber(1), 100)
    .action(async (options: RemoteOptions & { limit: number }) => {
      const output = createOutput(options);
      const list = (await connect(options)).team.invitations.list({ limit: Math.min(options.limit, 1_000) });
      const data = await list.toArray(options.limit);
      output.result({ object: 'list', data }, () =>
        table(
          ['ID', 'FOR', 'ROLE', 'CREATED', 'STATE'],
          data.map((each) => [
            each.id,
            each.email ?? 'anyone',
            each.role,
            timestamp(each.created_at),
            stateOf(each),
          ]),
          output.paint,
          'No invitations.',
        ),
      );
    });

  verb(invitations, {
    name: 'revoke <id>',
    summary: 'revoke an invitation that was not accepted; its link stops working immediately',
    examples: ['graft team invitations revoke invite_Zb3kQ9wLx0aT'],
    remote: true,
  }).action(async (id: string, options: RemoteOptions) => {
    const revoked = await (await connect(options)).team.invitations.revoke(id);
    createOutput(options).result(revoked, () => `Revoked ${revoked.id}`);
  });
}

/**
 * The URL of the dashboard's page, which `graft join` accepts as well. The token is in the fragment (after #), which browsers do not send
 * to the server, so it is in no log.
 */
export function linkOf(baseUrl: string, { token }: Pick<CreatedInvitation, 'token'>): string {
  return `${baseUrl.replace(/(\/v1)?\/*$/, '')}/invitations/accept#${token}`;
}

function stateOf(invitation: Invitation): string {
  if (invitation.accepted_at !== null) return `accepted by ${invitation.accepted_by}`;
  if (invitation.revoked_at !== null) return 'revoked';
  const until = timestamp(invitation.expires_at);
  return invitation.expires_at * 1000 <= Date.now() ? `expired ${until}` : `open until ${until}`;
}
