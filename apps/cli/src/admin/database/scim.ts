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
  const scim = noun(admin, 'scim', 'create, list, revoke');

  databaseVerb(
    scim,
    'create',
    'make a token for a directory that provisions people by SCIM, and print it once',
    '--name entra',
  )
    .requiredOption('--name <name>', 'which directory it is for')
    .option('--expires <time>', 'it ends after 90d, … (default: it does not)', timeSpan)
    .action(
      overDatabase(async (services, service, options: VerbOptions & { name: string; expires?: number }) => {
        const { name, expires: expiresIn } = options;
        const { record, token } = await service.createScimToken(services, { name, expiresIn });
        return {
          value: { id: record.id, name, token },
          text: token,
          note: 'A token for /scim/v2 of the service. It is shown this once.',
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
    'end a token, given by its id; the people whom it deactivated stay so',
    'scim_Zb3kQ9wLx0aT',
  ).action(
    overDatabase(async (services, { revokeScimToken }, _options: VerbOptions, id: string) => {
      if (!(await revokeScimToken(services, id)))
        throw new CommandError(`There is no valid token ${id}. \`graft admin scim list\` shows them.`);
      return { value: { id, revoked: true }, text: `Revoked ${id}.` };
    }),
  );
}
