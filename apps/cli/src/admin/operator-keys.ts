import type { Command } from 'commander';
import { timeSpan } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { idOf, stateOf } from '../team/keys.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';
import { listed } from './answer.ts';
import { existingPerson } from './existing-person.ts';
import { found, given, overApi, wholePage } from './over-api.ts';

/** The keys with which the operator uses the API. */
export function addOperatorKeyVerbs(admin: Command): void {
  const keys = noun(admin, 'operator-keys', 'create, list, revoke');

  verb(keys, {
    name: 'create',
    summary: 'create a key of the operator and print it, the only time it can be seen',
    examples: ['graft admin operator-keys create --name deploy --expires 90d'],
    remote: 'operator',
  })
    .requiredOption('--name <name>', 'what it is for')
    .option('--person <person>', "id or email of whose it is (default: the service's own)")
    .option('--expires <time>', 'it ends after 12h, 90d, …', timeSpan)
    .action(
      overApi(async ({ admin }, { name, person, expires }: CreateOptions) => {
        const made = await admin.createKey({
          name,
          ...given({
            person_id: person && (await existingPerson(admin, person)).id,
            expires_in: expires,
          }),
        });
        return { value: made, text: made.key, note: operatorKeyNote };
      }),
    );

  verb(keys, {
    name: 'list',
    summary: 'list the keys of the operator, newest first',
    examples: ['graft admin operator-keys list'],
    remote: 'operator',
  }).action(
    overApi(({ admin }) =>
      listed(
        admin.listKeys(wholePage),
        {
          KEY: ({ id }) => id,
          NAME: ({ name }) => name,
          OF: (key) => key.person_id ?? 'service',
          'LAST USED': (key) => (key.last_used_at === null ? 'never' : timestamp(key.last_used_at)),
          STATE: stateOf,
        },
        'No keys of the operator.',
      ),
    ),
  );

  verb(keys, {
    name: 'revoke <key>',
    summary: 'end a key of the operator, given by its id or whole, and the keys that it created, immediately',
    examples: ['graft admin operator-keys revoke op_Zb3kQ9wLx0aT'],
    remote: 'operator',
  }).action(
    overApi(async ({ admin }, _options: RemoteOptions, key: string) => {
      const id = idOf(key);
      const missing = `There is no valid key ${id}. \`graft admin operator-keys list\` shows them.`;
      await found(admin.revokeKey(id), missing);
      return { value: { id, revoked: true }, text: `Revoked ${id}.` };
    }),
  );
}

export const operatorKeyNote =
  'It manages teams, people and workers, and reads no data of a team. It is shown this once: set GRAFT_OPERATOR_KEY to it, or save it with `graft login`.';

interface CreateOptions extends RemoteOptions {
  name: string;
  person?: string;
  expires?: number;
}
