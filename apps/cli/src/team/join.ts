import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { profilePath, readProfile, writeProfile } from '../profile.ts';
import { DEFAULT_BASE_URL } from '../remote/connect.ts';
import { type RemoteOptions, verb } from '../verb.ts';

export function addJoinVerb(program: Command): void {
  verb(program, {
    name: 'join <link>',
    summary: 'accept an invitation: join the team, and save your API key for the other commands',
    examples: ['graft join "https://graft.example.com/invitations/accept#graft_invite_…"'],
  })
    .option('--email <email>', 'your email, if the invitation is for anyone who has the link')
    .option('--name <name>', 'your name')
    .option('--base-url <url>', 'URL of the service, if <link> is only the token (default: GRAFT_BASE_URL)')
    .action(async (link: string, options: RemoteOptions & { email?: string; name?: string }) => {
      const output = createOutput(options);
      const { baseUrl, token } = parseLink(
        link,
        options.baseUrl ?? (process.env.GRAFT_BASE_URL || DEFAULT_BASE_URL),
      );
      const { GraftClient } = await import('@graft/client');
      const accepted = await new GraftClient({ baseUrl, apiKey: null }).invitations.accept({
        token,
        ...(options.email === undefined ? {} : { email: options.email }),
        ...(options.name === undefined ? {} : { name: options.name }),
      });
      const { key, ...result } = accepted;
      const joined = `You are ${result.role} of team ${result.team.name} as ${result.person.email}.`;
      // The key is shown only once: saving it must not overwrite a saved key, and it must not be lost either.
      if (hasProfile()) {
        output.result({ ...accepted, base_url: baseUrl, profile: null }, () => key);
        output.note(
          `${joined} Your key is above and is shown only once; it was not saved, because there is another one in ${profilePath()}.`,
        );
        return;
      }
      writeProfile({ baseUrl, apiKey: key });
      output.result(
        { ...result, base_url: baseUrl, profile: profilePath() },
        () => `${joined} Your key is saved in ${profilePath()}, readable by you alone.`,
      );
    });
}

/** Whether a profile exists. A damaged one counts, so that it is not overwritten. */
function hasProfile(): boolean {
  try {
    return readProfile() !== null;
  } catch {
    return true;
  }
}

/** Path of the dashboard's page. Links of earlier versions have the API's path, which starts with `/v1`. */
const path = '/invitations/accept';

/** Parses `https://…/invitations/accept#graft_invite_…`, or only the part after the #. */
function parseLink(link: string, baseUrl: string): { baseUrl: string; token: string } {
  const [address = '', token] = link.split('#', 2);
  if (token === undefined && address.startsWith('graft_invite_')) return { baseUrl, token: address };
  const url = URL.canParse(address) ? new URL(address) : null;
  if (!token || !url || !['http:', 'https:'].includes(url.protocol) || !url.pathname.endsWith(path)) {
    throw new UsageError(
      'That is not an invitation link. It looks like https://…/invitations/accept#graft_invite_…; quote it for your shell.',
    );
  }
  const before = url.pathname.slice(0, -path.length);
  return { baseUrl: `${url.origin}${before.endsWith('/v1') ? before : `${before}/v1`}`, token };
}
