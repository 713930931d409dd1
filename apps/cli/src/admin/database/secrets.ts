import type { Rotation, SecretUse } from '@graft/service/rotation';
import { type Command, Option } from 'commander';
import type { Paint } from '../../draw/paint.ts';
import { timestamp } from '../../draw/quantities.ts';
import { type Columns, tableOf } from '../../draw/table.ts';
import { UsageError } from '../../errors.ts';
import { noun, type VerbOptions, verb } from '../../verb.ts';
import { overDatabase, unixSeconds } from './over-database.ts';

export function addSecretVerbs(admin: Command): void {
  const secrets = noun(admin, 'secrets', "the service's pepper and sealing key: status, rotate, drop");

  const lists = 'list the versions of the pepper and the sealing key, and what still uses each version';
  verb(secrets, 'status', lists).action(
    overDatabase(async (services, { readSecretUses }) => {
      const uses = await readSecretUses(services);
      return {
        value: { object: 'list', data: uses.map(wireUse) },
        text: (paint) => describeUses(uses, paint),
      };
    }),
  );

  const rotates =
    'create a new version of both and re-encrypt stored secrets; safe to run again after an interruption';
  verb(secrets, 'rotate', rotates)
    .option('--again', 'create another version although older ones still exist')
    .action(
      overDatabase(async (services, service, { again = false }: VerbOptions & { again?: boolean }) => {
        const rotation = await service.rotateSecrets(services, { again });
        const uses = await service.readSecretUses(services);
        const { made, toSet: to_set, resealed, unreadable } = rotation;
        return {
          value: { made, to_set, resealed, unreadable, versions: uses.map(wireUse) },
          text: (paint) => `${describeRotation(rotation)}\n\n${describeUses(uses, paint)}`,
        };
      }),
    );

  verb(secrets, 'drop <version>', 'remove an old version that nothing uses', '1')
    .addOption(new Option('--of <secret>', 'the secret').choices(['pepper', 'sealing-key']).default('pepper'))
    .option(
      '--force',
      'even if rows use it: keys stop working, and webhooks and integrations lose their secrets',
    )
    .action(
      overDatabase(async (services, { dropSecret }, text: string, { of, force = false }: DropOptions) => {
        if (!/^[1-9][0-9]{0,5}$/.test(text)) throw new UsageError('A version is a number, such as 1.');
        const version = Number(text);
        await dropSecret(services, of === 'pepper' ? 'pepper' : 'sealing', version, { force });
        return {
          value: { secret: of, version, dropped: true },
          text: `Dropped version ${version} of the ${of}.`,
        };
      }),
    );
}

interface DropOptions extends VerbOptions {
  of: 'pepper' | 'sealing-key';
  force?: boolean;
}

function describeRotation({ made, toSet, resealed, unreadable }: Rotation): string {
  return [
    ...made.map(
      ({ setting, version }) =>
        `Created version ${version} of the secret that ${setting} would set; running processes load it by themselves.`,
    ),
    ...toSet.flatMap(({ setting, version, secret }) => [
      `${setting} comes from the environment. New version:`,
      `  ${version}:${secret}`,
      `1. Append it to the current value (written as 1:… if it has no version), after a comma, in all processes, and restart them.`,
      `2. Move it to the front, so that it is the current one, and restart them again.`,
      `3. Run \`graft admin secrets rotate\` with that setting.`,
    ]),
    ...(made.length + toSet.length === 0
      ? ['Older versions still exist, so no new one was created (--again creates one).']
      : []),
    `Re-encrypted: ${resealed}.`,
    ...(unreadable > 0
      ? [`Secrets that no version can decrypt, which their teams must set again: ${unreadable}.`]
      : []),
  ].join('\n');
}

const columns: Columns<SecretUse> = {
  SECRET: 'setting',
  VERSION: 'version',
  STATE: 'state',
  KEYS: (use) => String(use.apiKeys + use.operatorKeys),
  SESSIONS: 'sessions',
  INVITATIONS: 'invitations',
  ENCRYPTED: 'sealed',
  'CAN BE DROPPED': droppable,
};

function describeUses(uses: SecretUse[], paint: Paint): string {
  const waiting = uses.filter(({ keyIds }) => keyIds.length > 0);
  return [
    tableOf(uses, columns, paint, ''),
    ...waiting.map(
      ({ version, keyIds }) =>
        `Keys that nobody has used since version ${version} was replaced (use, rotate or revoke them): ${keyIds.join(', ')}`,
    ),
  ].join('\n');
}

function droppable(use: SecretUse): string {
  if (use.state === 'current') return '';
  const count = use.apiKeys + use.operatorKeys + use.sessions + use.invitations + use.sealed;
  if (use.state === 'absent') return count > 0 ? 'dropped while in use' : '';
  if (count === 0) return 'now';
  if (use.endsAt) return `after ${timestamp(unixSeconds(use.endsAt))}`;
  return use.sealed > 0 ? 'after `graft admin secrets rotate`' : 'once its keys are used, rotated or revoked';
}

const wireUse = (use: SecretUse) => ({
  setting: use.setting,
  version: use.version,
  state: use.state,
  api_keys: use.apiKeys,
  operator_keys: use.operatorKeys,
  sessions: use.sessions,
  invitations: use.invitations,
  sealed: use.sealed,
  ends_at: unixSeconds(use.endsAt),
  key_ids: use.keyIds,
});
