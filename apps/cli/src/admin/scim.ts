import type { Command } from 'commander';
import { timeSpan } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { CommandError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { noun, type VerbOptions, verb } from '../verb.ts';
import { unixSeconds, withServices } from './with-services.ts';

/** Tokens by which a directory such as Entra or Okta reports who has left. */
export function addScimVerbs(admin: Command): void {
  const scim = noun(admin, 'scim', 'create, list, revoke');

  verb(scim, {
    name: 'create',
    summary: 'make a token for a directory that provisions people by SCIM, and print it once',
    examples: ['graft admin scim create --name entra'],
  })
    .requiredOption('--name <name>', 'which directory it is for')
    .option('--expires <time>', 'it ends after 90d, … (default: it does not)', timeSpan)
    .action(async (options: VerbOptions & { name: string; expires?: number }) => {
      const input = { name: options.name, expiresIn: options.expires };
      const { record, token } = await withServices((services, { createScimToken }) =>
        createScimToken(services, input),
      );
      const output = createOutput(options);
      output.result({ id: record.id, name: record.name, token }, () => token);
      output.note('A token for /scim/v2 of the service. It is shown this once.');
    });

  verb(scim, {
    name: 'list',
    summary: 'list the tokens of directories, newest first',
    examples: ['graft admin scim list'],
  }).action(async (options: VerbOptions) => {
    const output = createOutput(options);
    const tokens = await withServices((services, { listScimTokens }) => listScimTokens(services));
    const data = tokens.map(({ id, name, createdAt, lastUsedAt, expiresAt, revokedAt }) => ({
      ...{ id, name, created_at: unixSeconds(createdAt) },
      last_used_at: lastUsedAt && unixSeconds(lastUsedAt),
      expires_at: expiresAt && unixSeconds(expiresAt),
      revoked_at: revokedAt && unixSeconds(revokedAt),
    }));
    output.result({ object: 'list', data }, () =>
      table(
        ['TOKEN', 'NAME', 'LAST USED', 'STATE'],
        data.map((token) => [
          token.id,
          token.name,
          token.last_used_at === null ? 'never' : timestamp(token.last_used_at),
          token.revoked_at !== null
            ? 'revoked'
            : token.expires_at === null
              ? 'valid'
              : `until ${timestamp(token.expires_at)}`,
        ]),
        output.paint,
        'No tokens.',
      ),
    );
  });

  verb(scim, {
    name: 'revoke <token>',
    summary: 'end a token, given by its id; the people whom it deactivated stay so',
    examples: ['graft admin scim revoke scim_Zb3kQ9wLx0aT'],
  }).action(async (id: string, options: VerbOptions) => {
    const done = await withServices((services, { revokeScimToken }) => revokeScimToken(services, id));
    if (!done) throw new CommandError(`There is no valid token ${id}. \`graft admin scim list\` shows them.`);
    createOutput(options).result({ id, revoked: true }, () => `Revoked ${id}.`);
  });
}
