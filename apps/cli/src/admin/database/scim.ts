import type { Command } from 'commander';
import { timeSpan } from '../../arguments.ts';
import { CommandError } from '../../errors.ts';
import { stateOf } from '../../team/keys.ts';
import { noun, type VerbOptions } from '../../verb.ts';
import { listed, time } from '../answer.ts';
import { databaseVerb, overDatabase, unixSeconds } from './over-database.ts';

/**
 * Tokens for a directory such as Entra or Okta, which reports who has left. They are created in the database and belong to the
 * installation: a token created with a stolen operator key would outlive that key.
 */
export function addScimVerbs(admin: Command): void {
  const scim = noun(admin, 'scim', 'tokens of SCIM directories: create, list, revoke');

  databaseVerb(
    scim,
    'create',
    'create a token for a directory that provisions people by SCIM, and print it; it cannot be shown again',
    '--name entra',
  )
    .requiredOption('--name <name>', 'name of the directory')
    .option('--expires <time>', 'lifetime, such as 90d (default: unlimited)', timeSpan)
    .action(
      overDatabase(async (services, service, options: VerbOptions & { name: string; expires?: number }) => {
        const { name, expires: expiresIn } = options;
        const { record, token } = await service.createScimToken(services, { name, expiresIn });
        return {
          value: { id: record.id, name, token },
          text: token,
          note: 'A token for /scim/v2 of the service. It is shown only once.',
        };
      }),
    );

  databaseVerb(scim, 'list', 'list the tokens of directories, newest first').action(
    overDatabase(async (services, { listScimTokens }) => {
      const seconds = (date: Date | null) => date && unixSeconds(date);
      const data = (await listScimTokens(services)).map((token) => ({
        id: token.id,
        name: token.name,
        created_at: unixSeconds(token.createdAt),
        last_used_at: seconds(token.lastUsedAt),
        expires_at: seconds(token.expiresAt),
        revoked_at: seconds(token.revokedAt),
      }));
      return listed(
        data,
        {
          TOKEN: 'id',
          NAME: 'name',
          'LAST USED': (token) => time(token.last_used_at),
          STATE: stateOf,
        },
        'No tokens.',
      );
    }),
  );

  databaseVerb(
    scim,
    'revoke <token>',
    'revoke a token by its id; people whom it deactivated stay deactivated',
    'scim_Zb3kQ9wLx0aT',
  ).action(
    overDatabase(async (services, { revokeScimToken }, _options: VerbOptions, id: string) => {
      if (!(await revokeScimToken(services, id)))
        throw new CommandError(`There is no valid token ${id}. \`graft admin scim list\` shows them.`);
      return { value: { id, revoked: true }, text: `Revoked ${id}.` };
    }),
  );
}
