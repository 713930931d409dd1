import type { Command } from 'commander';
import { listed, time } from '../../answer.ts';
import { CommandError } from '../../errors.ts';
import { expiresOption } from '../../team/key-options.ts';
import { stateOf } from '../../team/keys.ts';
import { noun, type VerbOptions, verb } from '../../verb.ts';
import { overDatabase, unixSeconds } from './over-database.ts';

/**
 * Tokens for a directory such as Entra or Okta, which reports who has left. They are created in the database and belong to the
 * installation: a token created with a stolen operator key would outlive that key.
 */
export function addScimVerbs(admin: Command): void {
  const scim = noun(admin, 'scim', 'tokens of SCIM directories: create, list, revoke');

  const creates =
    'create a token for a directory that provisions people by SCIM, and print it; it cannot be shown again';
  verb(scim, 'create', creates, '--name entra')
    .requiredOption('--name <name>', 'name of the directory')
    .addOption(expiresOption('lifetime, such as 90d (default: unlimited)'))
    .action(
      overDatabase(async (services, service, options: VerbOptions & { name: string; expires?: number }) => {
        const { name, expires: expiresIn } = options;
        const { record, token } = await service.createScimToken(services, { name, expiresIn });
        const note = 'A token for /scim/v2 of the service. It is shown only once.';
        return { value: { id: record.id, name, token }, text: token, note };
      }),
    );

  verb(scim, 'list', 'list the tokens of directories, newest first').action(
    overDatabase(async (services, { listScimTokens }) => {
      const data = (await listScimTokens(services)).map((token) => ({
        id: token.id,
        name: token.name,
        created_at: unixSeconds(token.createdAt),
        last_used_at: unixSeconds(token.lastUsedAt),
        expires_at: unixSeconds(token.expiresAt),
        revoked_at: unixSeconds(token.revokedAt),
      }));
      const columns = {
        TOKEN: 'id',
        NAME: 'name',
        'LAST USED': (token: (typeof data)[number]) => time(token.last_used_at),
        STATE: stateOf,
      } as const;
      return listed(data, columns, 'No tokens.');
    }),
  );

  const revokes = 'revoke a token by its id; people whom it deactivated stay deactivated';
  verb(scim, 'revoke <token>', revokes, 'scim_Zb3kQ9wLx0aT').action(
    overDatabase(async (services, { revokeScimToken }, id: string) => {
      if (!(await revokeScimToken(services, id)))
        throw new CommandError(`There is no valid token ${id}. \`graft admin scim list\` shows them.`);
      return { value: { id, revoked: true }, text: `Revoked ${id}.` };
    }),
  );
}
