import type { ApiKey, Role } from '@graft/client';
import { type Command, Option } from 'commander';
import { timeSpan, words } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { CommandError } from '../errors.ts';
import { idOf, roles, stateOf } from '../team/keys.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';
import { listed } from './answer.ts';
import { existingPerson } from './existing-person.ts';
import { existingTeam } from './existing-team.ts';
import { type Admin, given, overApi, wholePage } from './over-api.ts';

/** The keys of teams. */
export function addKeyVerbs(admin: Command): void {
  const keys = noun(admin, 'keys', 'create, list, revoke');

  verb(keys, {
    name: 'create',
    summary: 'create an API key of a team and print it, the only time it can be seen',
    examples: ['graft admin keys create --team research --name "Ada\'s laptop"'],
    remote: 'operator',
  })
    .requiredOption('--team <team>', 'id or name of the team')
    .option('--name <name>', 'what it is for', 'key')
    .addOption(new Option('--role <role>', 'what it may do').choices(roles).default('member'))
    .option('--person <person>', "id or email of the member whose key it is (default: the team's own)")
    .option('--scopes <scopes>', 'only these, with commas between (default: all that the role may)', words)
    .option('--models <models>', 'only these models: names, or beginnings with * behind', words)
    .option('--expires <time>', 'it ends after 12h, 90d, …', timeSpan)
    .action(
      overApi(
        async ({ admin }, { name, role, scopes, models, person, expires, ...options }: CreateOptions) => {
          const team = await existingTeam(admin, options.team);
          const made = await admin.teams.createKey(team.id, {
            name,
            role,
            ...given({
              scopes,
              models,
              person_id: person && (await existingPerson(admin, person)).id,
              expires_in: expires,
            }),
          });
          return {
            value: { ...made, key_id: made.id, team_id: team.id, team: team.name },
            text: made.key,
            note: `A ${role} key of team ${team.name}. It is shown this once: give it to its user over a safe channel.`,
          };
        },
      ),
    );

  verb(keys, {
    name: 'list',
    summary: 'list keys of teams, without their secrets, which are not stored',
    examples: ['graft admin keys list --team research'],
    remote: 'operator',
  })
    .option('--team <team>', 'id or name of one team')
    .action(
      overApi(async ({ admin }, options: RemoteOptions & { team?: string }) => {
        const teams =
          options.team === undefined ? await allTeams(admin) : [await existingTeam(admin, options.team)];
        const data: (ApiKey & { team_id: string; team: string })[] = [];
        for (const { id: team_id, name: team } of teams)
          for await (const key of admin.teams.listKeys(team_id, wholePage))
            data.push({ ...key, team_id, team });
        return listed(
          data,
          {
            KEY: ({ id }) => id,
            TEAM: ({ team }) => team,
            NAME: ({ name }) => name,
            ROLE: ({ role }) => role,
            CREATED: (key) => timestamp(key.created_at),
            'LAST USED': (key) => (key.last_used_at === null ? 'never' : timestamp(key.last_used_at)),
            STATE: stateOf,
          },
          'No keys yet. Create one with: graft admin keys create --team TEAM',
        );
      }),
    );

  verb(keys, {
    name: 'revoke <key>',
    summary: 'end a key of a team, given by its id or whole; it stops working immediately',
    examples: ['graft admin keys revoke Zb3kQ9wLx0aT'],
    remote: 'operator',
  }).action(
    overApi(async ({ admin }, _options: RemoteOptions, key: string) => {
      const id = idOf(key);
      for (const team of await allTeams(admin)) {
        const revoked = await admin.teams.revokeKey(team.id, id).catch((error) => {
          if (error.code !== 'api_key_not_found') throw error;
        });
        if (revoked)
          return {
            value: { key_id: id, team: team.name, revoked: true },
            text: `Revoked ${id} of team ${team.name}.`,
          };
      }
      throw new CommandError(`There is no valid key ${id}. \`graft admin keys list\` shows them.`);
    }),
  );
}

/** Oldest first. */
const allTeams = async ({ teams }: Admin) => (await teams.list(wholePage).toArray()).toReversed();

interface CreateOptions extends RemoteOptions {
  team: string;
  name: string;
  role: Role;
  person?: string;
  scopes?: string[];
  models?: string[];
  expires?: number;
}
