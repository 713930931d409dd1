import type { CreatedInvitation, Invitation, Role } from '@graft/client';
import type { Command } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { given } from '../options/arguments.ts';
import { listVerb, serviceVerb } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';
import { expiresOption, roleOption } from './key-options.ts';

export function addInvitationVerbs(team: Command): void {
  const invitations = noun(team, 'invitations', 'invitations to your team: create, list, revoke');

  const creates = 'create an invitation link for one person and print it; it cannot be shown again';
  serviceVerb(invitations, 'create', creates, '--email ada@example.com --role admin')
    .option('--email <email>', 'only for this email (default: anyone who has the link)')
    .addOption(roleOption('role in the team', 'member'))
    .addOption(expiresOption('lifetime, such as 12h or 30d (default: 7d)'))
    .run(async (client, options: { email?: string; role: Role; expires?: number }) => {
      const { email = null, role, expires: expires_in } = options;
      const made = await client.team.invitations.create({ email, role, ...given({ expires_in }) });
      const link = linkOf(client.baseUrl, made);
      return {
        value: { ...made, link },
        text: link,
        note: `The first person who opens it in a browser or with \`graft join\` joins as ${made.role}. It works until ${timestamp(made.expires_at)} and is shown only once.`,
      };
    });

  listVerb(invitations, ({ team }, page) => team.invitations.list(page), {
    summary: 'list invitations, newest first, without their links, which are not stored',
    limit: 100,
    columns: {
      ID: 'id',
      FOR: ({ email }) => email ?? 'anyone',
      ROLE: 'role',
      CREATED: ({ created_at }) => timestamp(created_at),
      STATE: stateOf,
    },
    empty: 'No invitations.',
  });

  const revokes = 'revoke an invitation that was not accepted; its link stops working immediately';
  serviceVerb(invitations, 'revoke <id>', revokes, 'invite_Zb3kQ9wLx0aT').run(
    async ({ team }, id: string) => {
      const revoked = await team.invitations.revoke(id);
      return { value: revoked, text: `Revoked ${revoked.id}` };
    },
  );
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
