import type { ApiKey, CreatedApiKey, Role, Wire } from '@graft/client';
import { type Command, Option } from 'commander';
import { timeSpan, wholeNumber, words } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { createOutput, type Output } from '../output.ts';
import { connect } from '../remote/connect.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';

export const roles: Role[] = ['viewer', 'member', 'admin'];

export function addTeamKeyVerbs(team: Command): void {
  const keys = noun(team, 'keys', 'API keys of your team: create, list, rotate, revoke');

  verb(keys, {
    name: 'create',
    summary: 'create an API key and print it; it cannot be shown again',
    examples: [
      'graft team keys create --name laptop',
      'graft team keys create --name ci --role member --scopes files:write,jobs:write,jobs:read --expires 90d --of-team',
    ],
    remote: true,
  })
    .requiredOption('--name <name>', 'name of the key')
    .addOption(
      new Option('--role <role>', 'role of the key (default: member, or yours if that is viewer)').choices(
        roles,
      ),
    )
    .option('--scopes <scopes>', 'scopes, separated by commas (default: those of your key)', words)
    .option(
      '--models <models>',
      'model names or prefixes such as ft:*, separated by commas (default: those of your key)',
      words,
    )
    .option('--expires <time>', 'lifetime, such as 12h or 90d (default: unlimited)', timeSpan)
    .addOption(
      new Option('--of-team', 'owned by the team, so that it stays when you leave; for admins').implies({
        owner: 'team',
      }),
    )
    .action(async (options: CreateOptions) => {
      const output = createOutput(options);
      const made = await (await connect(options)).team.keys.create({
        name: options.name,
        ...(options.role ? { role: options.role } : {}),
        ...(options.scopes ? { scopes: options.scopes } : {}),
        ...(options.models ? { models: options.models } : {}),
        ...(options.expires === undefined ? {} : { expires_in: options.expires }),
        ...(options.owner ? { owner: options.owner } : {}),
      });
      reportKey(output, made);
    });

  verb(keys, {
    name: 'list',
    summary: 'list API keys, newest first: for admins all of the team, for others their own',
    examples: ['graft team keys list'],
    remote: true,
  })
    .option('--limit <n>', 'at most this many', wholeNumber(1), 100)
    .action(async (options: RemoteOptions & { limit: number }) => {
      const output = createOutput(options);
      const list = (await connect(options)).team.keys.list({ limit: Math.min(options.limit, 1_000) });
      const data = await list.toArray(options.limit);
      output.result({ object: 'list', data }, () =>
        table(
          ['KEY', 'NAME', 'ROLE', 'OF', 'LIMITS', 'LAST USED', 'STATE'],
          data.map((key) => [
            key.id,
            key.name,
            key.role,
            key.person_id ?? 'team',
            limitsOf(key),
            key.last_used_at === null ? 'never' : timestamp(key.last_used_at),
            stateOf(key),
          ]),
          output.paint,
          'No keys.',
        ),
      );
    });

  verb(keys, {
    name: 'rotate <key>',
    summary: 'rotate a key: create its successor and print it; the old key stops working after the overlap',
    examples: ['graft team keys rotate Zb3kQ9wLx0aT --overlap 2d'],
    remote: true,
  })
    .option('--overlap <time>', 'how long the old key keeps working (default: 1h)', timeSpan)
    .option('--expires <time>', 'lifetime of the new key, such as 12h or 90d', timeSpan)
    .action(async (key: string, options: RemoteOptions & { overlap?: number; expires?: number }) => {
      const output = createOutput(options);
      const made = await (await connect(options)).team.keys.rotate(idOf(key), {
        ...(options.overlap === undefined ? {} : { overlap: options.overlap }),
        ...(options.expires === undefined ? {} : { expires_in: options.expires }),
      });
      reportKey(output, made);
    });

  verb(keys, {
    name: 'revoke <key>',
    summary: 'revoke a key immediately, by its id or the whole key, and all keys descended from it',
    examples: [
      'graft team keys revoke Zb3kQ9wLx0aT',
      'graft team keys revoke Zb3kQ9wLx0aT --keep-descendants',
    ],
    remote: true,
  })
    .option('--keep-descendants', 'keep the keys that it created, and their descendants')
    .action(async (key: string, options: RemoteOptions & { keepDescendants?: boolean }) => {
      const descendants = options.keepDescendants ? ('keep' as const) : ('revoke' as const);
      const done = await (await connect(options)).team.keys.revoke(idOf(key), { descendants });
      createOutput(options).result(done, () => describeRevocation(done));
    });
}

function describeRevocation({ id, revoked }: Wire.DeletedApiKey): string {
  const { keys, kept, invitations, webhooks, members } = revoked;
  const lists: [string, string[]][] = [
    ['Also revoked, descended from it', keys.filter((key) => key !== id)],
    ['Still working, descended from it', kept],
    ['Invitations revoked', invitations],
    ['Webhooks disabled', webhooks],
    ['Joined by its invitations, check them', members],
  ];
  const lines = lists.filter(([, ids]) => ids.length > 0).map(([name, ids]) => `${name}: ${ids.join(', ')}`);
  return [`Revoked ${id}`, ...lines].join('\n');
}

interface CreateOptions extends RemoteOptions {
  name: string;
  role?: Role;
  scopes?: string[];
  models?: string[];
  expires?: number;
  owner?: 'team';
}

/** The id of a key, which may be given as an id or as the whole key. */
export const idOf = (key: string): string => /^graft_((?:op_)?[^_]+)_/.exec(key)?.[1] ?? key;

function reportKey(output: Output, made: CreatedApiKey): void {
  output.result(made, () => made.key);
  const end = made.expires_at === null ? '' : ` It expires on ${timestamp(made.expires_at)}.`;
  output.note(`A key with the role ${made.role}, ${limitsOf(made)}.${end} It is shown only once.`);
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
