import type { ApiKey, Role } from '@graft/client';
import { type Command, Option } from 'commander';
import { timeSpan, words } from '../arguments.ts';
import { CommandError } from '../errors.ts';
import { idOf, roles, stateOf } from '../team/keys.ts';
import { noun } from '../verb.ts';
import { listed, time } from './answer.ts';
import { existingPerson } from './existing-person.ts';
import { existingTeam } from './existing-team.ts';
import { type Admin, found, given, listVerb, operatorVerb, overApi, wholePage } from './operator-verb.ts';

/** Verbs for the keys of teams. */
export function addKeyVerbs(admin: Command): void {
  const keys = noun(admin, 'keys', 'create, list, revoke');

  const creates = 'create an API key of a team and print it, the only time it can be seen';
  operatorVerb(keys, 'create', creates, '--team research --name "Ada\'s laptop"')
    .requiredOption('--team <team>', 'id or name of the team')
    .option('--name <name>', 'what it is for', 'key')
    .addOption(new Option('--role <role>', 'what it may do').choices(roles).default('member'))
    .option('--person <person>', "id or email of the member whose key it is (default: the team's own)")
    .option('--scopes <scopes>', 'only these, with commas between (default: all that the role may)', words)
    .option('--models <models>', 'only these models: names, or beginnings with * behind', words)
    .option('--expires <time>', 'it ends after 12h, 90d, …', timeSpan)
    .action(
      overApi(async ({ admin }, options: KeyOptions & { team: string; role: Role }) => {
        const { name, role, scopes, models } = options;
        const { id: team_id, name: team } = await existingTeam(admin, options.team);
        const more = { scopes, models, ...(await ownerAndEnd(admin, options)) };
        const made = await admin.teams.createKey(team_id, { name, role, ...given(more) });
        return {
          value: { ...made, key_id: made.id, team_id, team },
          text: made.key,
          note: `A ${role} key of team ${team}. It is shown this once: give it to its user over a safe channel.`,
        };
      }),
    );

  operatorVerb(
    keys,
    'list',
    'list keys of teams, without their secrets, which are not stored',
    '--team research',
  )
    .option('--team <team>', 'id or name of one team')
    .action(
      overApi(async ({ admin }, options: { team?: string }) => {
        const teams = options.team ? [await existingTeam(admin, options.team)] : await allTeams(admin);
        const data: (ApiKey & { team_id: string; team: string })[] = [];
        for (const { id: team_id, name: team } of teams)
          for await (const key of admin.teams.listKeys(team_id, wholePage))
            data.push({ ...key, team_id, team });
        const columns = {
          KEY: 'id',
          TEAM: 'team',
          NAME: 'name',
          ROLE: 'role',
          CREATED: (key: ApiKey) => time(key.created_at),
          'LAST USED': (key: ApiKey) => time(key.last_used_at),
          STATE: stateOf,
        } as const;
        return listed(data, columns, 'No keys yet. Create one with: graft admin keys create --team TEAM');
      }),
    );

  const revokes = 'end a key of a team, given by its id or whole; it stops working immediately';
  operatorVerb(keys, 'revoke <key>', revokes, 'Zb3kQ9wLx0aT').action(
    overApi(async ({ admin }, _options: object, key: string) => {
      const key_id = idOf(key);
      for (const { id, name: team } of await allTeams(admin)) {
        const revoked = await admin.teams.revokeKey(id, key_id).catch((error) => {
          if (error.code !== 'api_key_not_found') throw error;
        });
        if (revoked)
          return { value: { key_id, team, revoked: true }, text: `Revoked ${key_id} of team ${team}.` };
      }
      throw new CommandError(`There is no valid key ${key_id}. \`graft admin keys list\` shows them.`);
    }),
  );
}

/** Verbs for the operator's API keys. */
export function addOperatorKeyVerbs(admin: Command): void {
  const keys = noun(admin, 'operator-keys', 'create, list, revoke');

  const creates = 'create a key of the operator and print it, the only time it can be seen';
  operatorVerb(keys, 'create', creates, '--name deploy --expires 90d')
    .requiredOption('--name <name>', 'what it is for')
    .option('--person <person>', "id or email of whose it is (default: the service's own)")
    .option('--expires <time>', 'it ends after 12h, 90d, …', timeSpan)
    .action(
      overApi(async ({ admin }, options: KeyOptions) => {
        const more = given(await ownerAndEnd(admin, options));
        const made = await admin.createKey({ name: options.name, ...more });
        return { value: made, text: made.key, note: operatorKeyNote };
      }),
    );

  listVerb(
    keys,
    'list the keys of the operator, newest first',
    (admin) => admin.listKeys(wholePage),
    {
      KEY: 'id',
      NAME: 'name',
      OF: (key) => key.person_id ?? 'service',
      'LAST USED': (key) => time(key.last_used_at),
      STATE: (key) => stateOf(key),
    },
    'No keys of the operator.',
  );

  const revokes = 'end a key of the operator, given by its id or whole, and the keys that it created';
  operatorVerb(keys, 'revoke <key>', revokes, 'op_Zb3kQ9wLx0aT').action(
    overApi(async ({ admin }, _options: object, key: string) => {
      const id = idOf(key);
      const absent = `There is no valid key ${id}. \`graft admin operator-keys list\` shows them.`;
      await found(admin.revokeKey(id), absent);
      return { value: { id, revoked: true }, text: `Revoked ${id}.` };
    }),
  );
}

export const operatorKeyNote =
  'It manages teams, people and workers, and reads no data of a team. It is shown this once: set GRAFT_OPERATOR_KEY to it, or save it with `graft login`.';

interface KeyOptions {
  name: string;
  person?: string;
  scopes?: string[];
  models?: string[];
  expires?: number;
}

/** All teams, oldest first. */
const allTeams = async ({ teams }: Admin) => (await teams.list(wholePage).toArray()).toReversed();

const ownerAndEnd = async (admin: Admin, { person, expires: expires_in }: KeyOptions) => ({
  person_id: person === undefined ? undefined : (await existingPerson(admin, person)).id,
  expires_in,
});
