import type { ApiKey, CreatedApiKey, Role, Wire } from '@graft/client';
import { type Command, Option } from 'commander';
import { type Answer, time } from '../answer.ts';
import { timestamp } from '../draw/quantities.ts';
import { given, timeSpan, words } from '../options/arguments.ts';
import { listVerb, serviceVerb } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';
import { expiresOption, roleOption } from './key-options.ts';

interface CreateOptions {
  name: string;
  role?: Role;
  scopes?: string[];
  models?: string[];
  expires?: number;
  owner?: 'team';
}

interface RevokeOptions {
  preview?: true;
  keepDescendants?: true;
  keepExits?: true;
}

export function addTeamKeyVerbs(team: Command): void {
  const keys = noun(team, 'keys', 'API keys of your team: create, list, rotate, revoke');

  const creates = 'create an API key and print it; it cannot be shown again';
  const limited = '--name ci --role member --scopes files:write,jobs:write,jobs:read --expires 90d --of-team';
  const ownedByTeam = 'owned by the team, so that it stays when you leave; for admins';
  serviceVerb(keys, 'create', creates, '--name laptop', limited)
    .requiredOption('--name <name>', 'name of the key')
    .addOption(roleOption('role of the key (default: member, or yours if that is viewer)'))
    .option('--scopes <scopes>', 'scopes, separated by commas (default: those of your key)', words)
    .option('--models <models>', modelsOption('those of your key'), words)
    .addOption(expiresOption())
    .addOption(new Option('--of-team', ownedByTeam).implies({ owner: 'team' }))
    .run(async ({ team }, options: CreateOptions) => {
      const { name, role, scopes, models, expires: expires_in, owner } = options;
      return keyAnswer(
        await team.keys.create({ name, ...given({ role, scopes, models, expires_in, owner }) }),
      );
    });

  listVerb(keys, ({ team }, page) => team.keys.list(page), {
    summary: 'list API keys, newest first: for admins all of the team, for others their own',
    limit: 100,
    columns: {
      KEY: 'id',
      NAME: 'name',
      ROLE: 'role',
      OF: ({ person_id }) => person_id ?? 'team',
      LIMITS: (key) => limitsOf(key),
      'LAST USED': ({ last_used_at }) => time(last_used_at),
      STATE: (key) => stateOf(key),
    },
    empty: 'No keys.',
  });

  const rotates =
    'rotate a key: create its successor and print it; the old key stops working after the overlap';
  serviceVerb(keys, 'rotate <key>', rotates, 'Zb3kQ9wLx0aT --overlap 2d')
    .option('--overlap <time>', 'how long the old key keeps working (default: 1h)', timeSpan)
    .addOption(expiresOption('lifetime of the new key, such as 12h or 90d'))
    .run(async ({ team }, key: string, options: { overlap?: number; expires?: number }) => {
      const { overlap, expires: expires_in } = options;
      return keyAnswer(await team.keys.rotate(idOf(key), given({ overlap, expires_in })));
    });

  const revokes =
    'revoke a key immediately, by its id or the whole key, all keys descended from it, and what they made that sends to other servers';
  serviceVerb(keys, 'revoke <key>', revokes, 'Zb3kQ9wLx0aT --preview', 'Zb3kQ9wLx0aT --keep-exits')
    .option('--preview', 'show what it would end, and end nothing')
    .option('--keep-descendants', 'keep the keys that it created, their descendants, and what it made')
    .option('--keep-exits', 'keep its webhooks, integrations, deploy targets and publications, and list them')
    .run(async ({ team }, key: string, options: RevokeOptions) => {
      const params = {
        descendants: options.keepDescendants ? ('keep' as const) : ('revoke' as const),
        ...given({ exits: options.keepExits ? ('keep' as const) : undefined }),
      };
      const value = options.preview
        ? await team.keys.previewRevocation(idOf(key), params)
        : await team.keys.revoke(idOf(key), params);
      return { value, text: () => describeRevocation(value) };
    });
}

/** Description of --models. `usual`: the default. */
export const modelsOption = (usual: string): string =>
  `model names or prefixes such as ft:*, separated by commas (default: ${usual})`;

function describeRevocation({ id, object, revoked }: Wire.DeletedApiKey | Wire.ApiKeyRevocation): string {
  const lists = {
    'Also revoked, descended from it': revoked.keys.filter((key) => key !== id),
    'Still working, descended from it': revoked.kept,
    'Invitations revoked': revoked.invitations,
    'Webhooks disabled': revoked.webhooks,
    'Integrations disabled': revoked.integrations,
    'Deploy targets disabled': revoked.deploy_targets,
    'Publications ended': revoked.publications,
    'Still sending to other servers': revoked.exits_left,
    'Joined by its invitations, check them': revoked.members,
  };
  const lines = Object.entries(lists).filter(([, ids]) => ids.length > 0);
  const head = object === 'api_key' ? `Revoked ${id}` : `Revoking ${id} would have this effect:`;
  return [head, ...lines.map(([name, ids]) => `${name}: ${ids.join(', ')}`)].join('\n');
}

/** The id of a key, which may be given as an id or as the whole key. */
export const idOf = (key: string): string => /^graft_((?:op_)?[^_]+)_/.exec(key)?.[1] ?? key;

function keyAnswer(made: CreatedApiKey): Answer {
  const end = made.expires_at === null ? '' : ` It expires on ${timestamp(made.expires_at)}.`;
  const note = `A key with the role ${made.role}, ${limitsOf(made)}.${end} It is shown only once.`;
  return { value: made, text: made.key, note };
}

function limitsOf({ scopes, models }: Pick<ApiKey, 'scopes' | 'models'>): string {
  if (scopes === null && models === null) return 'no limits';
  return [
    ...(scopes === null ? [] : [scopes.join(' ') || 'no scopes']),
    ...(models === null ? [] : [`models: ${models.join(' ') || 'none'}`]),
  ].join('; ');
}

export function stateOf(
  key: Pick<ApiKey, 'revoked_at' | 'expires_at'> & { replaced_by?: string | null },
): string {
  if (key.revoked_at !== null) return 'revoked';
  const until = key.expires_at === null ? '' : timestamp(key.expires_at);
  if (key.expires_at !== null && key.expires_at * 1000 <= Date.now()) return `expired ${until}`;
  if (key.replaced_by) return `rotated, until ${until}`;
  return until === '' ? 'valid' : `valid until ${until}`;
}
