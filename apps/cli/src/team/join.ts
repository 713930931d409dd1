import type { Command } from 'commander';
import { printAnswer } from '../answer.ts';
import { UsageError } from '../errors.ts';
import { given } from '../options/arguments.ts';
import { profilePath, readProfile, writeProfile } from '../profile.ts';
import { chosenUrl, DEFAULT_BASE_URL, type RemoteOptions } from '../remote/connect.ts';
import { verb } from '../verb.ts';

export function addJoinVerb(program: Command): void {
  const joins = 'accept an invitation: join the team, and save your API key for the other commands';
  verb(program, 'join <link>', joins, '"https://graft.example.com/invitations/accept#graft_invite_…"')
    .option('--email <email>', 'your email, if the invitation is for anyone who has the link')
    .option('--name <name>', 'your name')
    .option('--base-url <url>', 'URL of the service, if <link> is only the token (default: GRAFT_BASE_URL)')
    .action(async (link: string, options: RemoteOptions & { email?: string; name?: string }) => {
      const { baseUrl, token } = parseLink(link, chosenUrl(options) ?? DEFAULT_BASE_URL);
      const { GraftClient } = await import('@graft/client');
      const accepted = await new GraftClient({ baseUrl, apiKey: null }).invitations.accept({
        token,
        ...given({ email: options.email, name: options.name }),
      });
      const { key, ...result } = accepted;
      const joined = `You are ${result.role} of team ${result.team.name} as ${result.person.email}.`;
      // The key is shown only once: saving it must not overwrite a saved key, and it must not be lost either.
      if (hasProfile()) {
        const value = { ...accepted, base_url: baseUrl, profile: null };
        const note = `${joined} Your key is above and is shown only once; it was not saved, because there is another one in ${profilePath()}.`;
        return printAnswer(options, { value, text: key, note });
      }
      writeProfile({ baseUrl, apiKey: key });
      const profile = profilePath();
      const text = `${joined} Your key is saved in ${profile}, readable by you alone.`;
      printAnswer(options, { value: { ...result, base_url: baseUrl, profile }, text });
    });
}

/** Returns true if a profile exists. A damaged one counts, so that it is not overwritten. */
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
