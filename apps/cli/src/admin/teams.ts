import type { Role, Team } from '@graft/service';
import { type Command, Option } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { DEFAULT_BASE_URL } from '../remote/connect.ts';
import { linkOf } from '../team/invitations.ts';
import { roles } from '../team/keys.ts';
import { noun, type VerbOptions, verb } from '../verb.ts';
import { existingTeam } from './existing-team.ts';
import { addQuotaVerb } from './team-quota.ts';
import { addBudgetVerb } from './usage.ts';
import { unixSeconds, withServices } from './with-services.ts';

export function addTeamVerbs(admin: Command): void {
  const teams = noun(admin, 'teams', 'create, list, limit, weight, quota, budget, invite, delete');

  verb(teams, {
    name: 'create <name>',
    summary: 'make a team; its name stands in the names of its models',
    examples: ['graft admin teams create research --running-limit 4'],
  })
    .option('--running-limit <n>', 'jobs that may run at once (default: 8)', wholeNumber(1))
    .option('--weight <n>', 'its share of the machines, next to those of others (default: 1)', wholeNumber(1))
    .action(async (name: string, options: VerbOptions & { runningLimit?: number; weight?: number }) => {
      const output = createOutput(options);
      const { runningLimit, weight } = options;
      const team = await withServices(async (services, { createTeam, mostWeight }) => {
        if (weight !== undefined && weight > mostWeight) throw tooHeavy(mostWeight);
        return await createTeam(services, { name, runningLimit, weight });
      });
      output.result(
        wireTeam(team),
        () => `Team ${team.name} is ${team.id}.\nNext: graft admin keys create --team ${team.name}`,
      );
    });

  verb(teams, {
    name: 'list',
    summary: 'list all teams',
    examples: ['graft admin teams list'],
  }).action(async (options: VerbOptions) => {
    const output = createOutput(options);
    const data = await withServices((services, { listTeams }) => listTeams(services));
    output.result({ object: 'list', data: data.map(wireTeam) }, () =>
      table(
        ['ID', 'NAME', 'RUNNING LIMIT', 'WEIGHT', 'CREATED'],
        data.map((team) => [
          team.id,
          team.name,
          String(team.runningLimit),
          String(team.weight),
          timestamp(unixSeconds(team.createdAt)),
        ]),
        output.paint,
        'No teams yet. Make one with: graft admin teams create NAME',
      ),
    );
  });
  addTeamChanges(teams);
  addBudgetVerb(teams);
  addQuotaVerb(teams);
}

function addTeamChanges(teams: Command): void {
  verb(teams, {
    name: 'limit <team> <n>',
    summary: 'change how many jobs of a team may run at once',
    examples: ['graft admin teams limit research 4'],
  }).action(async (name: string, n: string, options: VerbOptions) => {
    const runningLimit = wholeNumber(1)(n);
    const team = await withServices(async (services, service) => {
      const { id } = await existingTeam(services, service, name);
      return await service.updateTeam(services, id, { runningLimit });
    });
    createOutput(options).result(wireTeam(team!), () => `${team!.name} may run ${runningLimit} at once.`);
  });

  verb(teams, {
    name: 'weight <team> <n>',
    summary: 'change the share of a team, next to the weights of the others that have work',
    examples: ['graft admin teams weight research 3'],
  }).action(async (name: string, n: string, options: VerbOptions) => {
    const weight = wholeNumber(1)(n);
    const team = await withServices(async (services, service) => {
      if (weight > service.mostWeight) throw tooHeavy(service.mostWeight);
      const { id } = await existingTeam(services, service, name);
      return await service.updateTeam(services, id, { weight });
    });
    createOutput(options).result(wireTeam(team!), () => `${team!.name} has the weight ${weight}.`);
  });

  verb(teams, {
    name: 'invite <team>',
    summary: 'make a link by which one person joins a team, its first admin as a rule',
    examples: ['graft admin teams invite research --email lead@example.com'],
  })
    .option('--email <email>', 'whom it is for (default: whoever has the link)')
    .addOption(new Option('--role <role>', 'what they may do').choices(roles).default('admin'))
    .option('--base-url <url>', 'of the service as that person reaches it (default: GRAFT_BASE_URL)')
    .action(async (name: string, options: VerbOptions & { email?: string; role: Role; baseUrl?: string }) => {
      const output = createOutput(options);
      const { invitation, token } = await withServices(async (services, service) => {
        const { id } = await existingTeam(services, service, name);
        const { email = null, role } = options;
        return await service.createInvitation(services, id, { email, role }, null);
      });
      const link = linkOf(options.baseUrl ?? (process.env.GRAFT_BASE_URL || DEFAULT_BASE_URL), { token });
      const expires_at = unixSeconds(invitation.expiresAt);
      output.result({ id: invitation.id, token, link, expires_at }, () => link);
      output.note(
        `For a browser or \`graft join\`, once, until ${timestamp(expires_at)}. It is shown this once.`,
      );
    });

  verb(teams, {
    name: 'delete <team>',
    summary: 'delete a team for good, with its files, jobs, adapters and keys, when its jobs have ended',
    examples: ['graft admin teams delete research --name research'],
  })
    .requiredOption('--name <name>', 'the name of the team once more, to be sure')
    .action(async (name: string, options: VerbOptions & { name: string }) => {
      const id = await withServices(async (services, service) => {
        const team = await existingTeam(services, service, name);
        await service.deleteTeam(services, team.id, options.name, null);
        await service.purgeDeletedTeams(services);
        return team.id;
      });
      createOutput(options).result({ id, deleted: true }, () => `Deleted the team ${options.name}.`);
    });
}

const tooHeavy = (mostWeight: number) => new UsageError(`A weight is at most ${mostWeight}.`);

/** Field names and times as the API has them. */
const wireTeam = (team: Team) => ({
  id: team.id,
  name: team.name,
  running_limit: team.runningLimit,
  weight: team.weight,
  created_at: unixSeconds(team.createdAt),
});
