import type { ApiKey, Role } from '@graft/client';
import type { Command } from 'commander';
import { listed, time } from '../answer.ts';
import { CommandError } from '../errors.ts';
import { given, words } from '../options/arguments.ts';
import { found, listVerb, serviceVerb, wholePage } from '../remote/service-verb.ts';
import { expiresOption, roleOption } from '../team/key-options.ts';
import { idOf, modelsOption, stateOf } from '../team/keys.ts';
import { noun } from '../verb.ts';
import { type Admin, existingPerson, existingTeam } from './existing.ts';

export function addKeyVerbs(admin: Command): void {
  const keys = noun(admin, 'keys', 'API keys of teams: create, list, revoke');

  const creates = 'create an API key for a team and print it; it cannot be shown again';
  serviceVerb(keys, 'create', creates, '--team research --name "Ada\'s laptop"')
    .requiredOption('--team <team>', 'id or name of the team')
    .option('--name <name>', 'name of the key', 'key')
    .addOption(roleOption('role of the key', 'member'))
    .option('--person <person>', 'id or email of the member who owns the key (default: owned by the team)')
    .option('--scopes <scopes>', 'scopes, separated by commas (default: all of the role)', words)
    .option('--models <models>', modelsOption('all'), words)
    .addOption(expiresOption())
    .run(async ({ admin }, options: KeyOptions & { team: string; role: Role }) => {
      const { name, role, scopes, models } = options;
      const { id: team_id, name: team } = await existingTeam(admin, options.team);
      const more = { scopes, models, ...(await ownerAndEnd(admin, options)) };
      const made = await admin.teams.createKey(team_id, { name, role, ...given(more) });
      return {
        value: { ...made, key_id: made.id, team_id, team },
        text: made.key,
        note: `A ${role} key of team ${team}. It is shown only once: send it to its user over a safe channel.`,
      };
    });

  const lists = 'list the API keys of teams, without their secrets, which are not stored';
  serviceVerb(keys, 'list', lists, '--team research')
    .option('--team <team>', 'only keys of this team: id or name')
    .run(async ({ admin }, options: { team?: string }) => {
      const teams = options.team ? [await existingTeam(admin, options.team)] : await allTeams(admin);
      const data: (ApiKey & { team_id: string; team: string })[] = [];
      for (const { id: team_id, name: team } of teams)
        for await (const key of admin.teams.listKeys(team_id, wholePage))
          data.push({ ...key, team_id, team });
      return listed(
        data,
        {
          KEY: 'id',
          TEAM: 'team',
          NAME: 'name',
          ROLE: 'role',
          CREATED: (key) => time(key.created_at),
          'LAST USED': (key) => time(key.last_used_at),
          STATE: stateOf,
        },
        'No keys yet. Create one with: graft admin keys create --team TEAM',
      );
    });

  const revokes = 'revoke an API key of a team immediately, by its id or the whole key';
  serviceVerb(keys, 'revoke <key>', revokes, 'Zb3kQ9wLx0aT').run(async ({ admin }, key: string) => {
    const key_id = idOf(key);
    for (const { id, name: team } of await allTeams(admin)) {
      const revoked = await admin.teams.revokeKey(id, key_id).catch((error) => {
        if (error.code !== 'api_key_not_found') throw error;
      });
      if (revoked)
        return { value: { key_id, team, revoked: true }, text: `Revoked ${key_id} of team ${team}.` };
    }
    throw new CommandError(`There is no valid key ${key_id}. \`graft admin keys list\` shows them.`);
  });
}

export function addOperatorKeyVerbs(admin: Command): void {
  const keys = noun(admin, 'operator-keys', 'operator keys: create, list, revoke');

  const creates = 'create an operator key and print it; it cannot be shown again';
  const create = serviceVerb(keys, 'create', creates, '--name deploy --expires 90d');
  operatorKeyOptions(create.requiredOption('--name <name>', 'name of the key')).run(
    async ({ admin }, options: KeyOptions) => {
      const more = given(await ownerAndEnd(admin, options));
      const made = await admin.createKey({ name: options.name, ...more });
      return { value: made, text: made.key, note: operatorKeyNote };
    },
  );

  listVerb(keys, ({ admin }, page) => admin.listKeys(page), {
    summary: 'list operator keys, newest first',
    columns: {
      KEY: 'id',
      NAME: 'name',
      OF: (key) => key.person_id ?? 'service',
      'LAST USED': (key) => time(key.last_used_at),
      STATE: (key) => stateOf(key),
    },
    empty: 'No operator keys.',
  });

  const revokes = 'revoke an operator key, by its id or the whole key, and the keys that it created';
  serviceVerb(keys, 'revoke <key>', revokes, 'op_Zb3kQ9wLx0aT').run(async ({ admin }, key: string) => {
    const id = idOf(key);
    const absent = `There is no valid key ${id}. \`graft admin operator-keys list\` shows them.`;
    await found(admin.revokeKey(id), absent);
    return { value: { id, revoked: true }, text: `Revoked ${id}.` };
  });
}

/** Options of every verb that creates an operator key, besides its name. */
export const operatorKeyOptions = <C extends Command>(command: C): C =>
  command
    .option(
      '--person <person>',
      'id or email of the operator who owns the key (default: owned by the service)',
    )
    .addOption(expiresOption());

export const operatorKeyNote =
  'An operator key manages teams, people and workers, and reads no data of teams. It is shown only once: set GRAFT_OPERATOR_KEY to it, or save it with `graft login`.';

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
