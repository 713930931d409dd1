import type { ApiKeyRecord, Role } from '@graft/service';
import { type Command, Option } from 'commander';
import { timeSpan, words } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { CommandError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { idOf, roles, stateOf } from '../team/keys.ts';
import { noun, type VerbOptions, verb } from '../verb.ts';
import { existingPerson } from './existing-person.ts';
import { existingTeam } from './existing-team.ts';
import { everyPage } from './people.ts';
import { unixSeconds, withServices } from './with-services.ts';

type TeamKey = ApiKeyRecord & { team: string };

export function addKeyVerbs(admin: Command): void {
  const keys = noun(admin, 'keys', 'create, list, revoke');

  verb(keys, {
    name: 'create',
    summary: 'make an API key and print it, the only time it can be seen',
    examples: ['graft admin keys create --team research --name "Ada\'s laptop"'],
  })
    .requiredOption('--team <team>', 'id or name of the team')
    .option('--name <name>', 'what it is for', 'key')
    .addOption(new Option('--role <role>', 'what it may do').choices(roles).default('member'))
    .option('--person <person>', "id or email of the member whose key it is (default: the team's own)")
    .option('--scopes <scopes>', 'only these, with commas between (default: all that the role may)', words)
    .option('--models <models>', 'only these models: names, or beginnings with * behind', words)
    .option('--expires <time>', 'it ends after 12h, 90d, …', timeSpan)
    .action(async (options: CreateOptions) => {
      const output = createOutput(options);
      const made = await withServices(async (services, service) => {
        const team = await existingTeam(services, service, options.team);
        const person =
          options.person === undefined ? null : await existingPerson(services, service, options.person);
        const { keyId, key } = await service.createApiKey(services, team.id, {
          name: options.name,
          role: options.role,
          scopes: options.scopes ?? null,
          models: options.models ?? null,
          personId: person?.id,
          expiresIn: options.expires,
        });
        return {
          key_id: keyId,
          key,
          team_id: team.id,
          team: team.name,
          role: options.role,
          name: options.name,
        };
      });
      output.result(made, () => made.key);
      output.note(
        `A ${made.role} key of team ${made.team}. It is shown this once: give it to its user over a safe channel.`,
      );
    });

  verb(keys, {
    name: 'list',
    summary: 'list keys, without their secrets, which nobody has',
    examples: ['graft admin keys list --team research'],
  })
    .option('--team <team>', 'id or name of one team')
    .action(async (options: VerbOptions & { team?: string }) => {
      const output = createOutput(options);
      const data = await withServices(async (services, service) => {
        const all =
          options.team === undefined
            ? await service.listTeams(services)
            : [await existingTeam(services, service, options.team)];
        const found: TeamKey[] = [];
        for (const team of all) {
          const keys = await everyPage((page) => service.listApiKeys(services, team.id, page));
          found.push(...keys.map((key) => ({ ...key, team: team.name })));
        }
        return found;
      });
      output.result({ object: 'list', data: data.map(wireKey) }, () =>
        table(
          ['KEY', 'TEAM', 'NAME', 'ROLE', 'CREATED', 'LAST USED', 'STATE'],
          data.map((key) => [
            key.id,
            key.team,
            key.name,
            key.role,
            timestamp(unixSeconds(key.createdAt)),
            key.lastUsedAt === null ? 'never' : timestamp(unixSeconds(key.lastUsedAt)),
            stateOf(wireKey(key)),
          ]),
          output.paint,
          'No keys yet. Make one with: graft admin keys create --team TEAM',
        ),
      );
    });

  verb(keys, {
    name: 'revoke <key>',
    summary: 'end a key, given by its id or whole; it stops working at once',
    examples: ['graft admin keys revoke Zb3kQ9wLx0aT'],
  }).action(async (key: string, options: VerbOptions) => {
    const id = idOf(key);
    const teamName = await withServices(async (services, service) => {
      for (const team of await service.listTeams(services)) {
        if (await service.revokeApiKey(services, team.id, id)) return team.name;
      }
      return null;
    });
    if (teamName === null)
      throw new CommandError(`There is no valid key ${id}. \`graft admin keys list\` shows them.`);
    createOutput(options).result(
      { key_id: id, team: teamName, revoked: true },
      () => `Revoked ${id} of team ${teamName}.`,
    );
  });
}

/** Field names and times as the API has them. */
const wireKey = (key: TeamKey) => ({
  id: key.id,
  team_id: key.teamId,
  team: key.team,
  name: key.name,
  role: key.role,
  created_at: unixSeconds(key.createdAt),
  last_used_at: key.lastUsedAt && unixSeconds(key.lastUsedAt),
  revoked_at: key.revokedAt && unixSeconds(key.revokedAt),
  expires_at: key.expiresAt && unixSeconds(key.expiresAt),
  scopes: key.scopes,
  models: key.models,
  person_id: key.personId,
  replaced_by: key.replacedBy,
});

interface CreateOptions extends VerbOptions {
  team: string;
  name: string;
  role: Role;
  person?: string;
  scopes?: string[];
  models?: string[];
  expires?: number;
}
