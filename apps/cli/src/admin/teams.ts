import type { Team } from '@graft/service';
import type { Command } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { createOutput } from '../output.ts';
import { noun, type VerbOptions, verb } from '../verb.ts';
import { unixSeconds, withServices } from './with-services.ts';

export function addTeamVerbs(admin: Command): void {
  const teams = noun(admin, 'teams', 'create, list');

  verb(teams, {
    name: 'create <name>',
    summary: 'make a team; its name stands in the names of its models',
    examples: ['graft admin teams create research --running-limit 4'],
  })
    .option('--running-limit <n>', 'jobs that may run at once (default: 8)', wholeNumber(1))
    .action(async (name: string, options: VerbOptions & { runningLimit?: number }) => {
      const output = createOutput(options);
      const team = await withServices(async (services, { createTeam }) =>
        createTeam(services, { name, runningLimit: options.runningLimit }),
      );
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
        ['ID', 'NAME', 'RUNNING LIMIT', 'CREATED'],
        data.map((team) => [
          team.id,
          team.name,
          String(team.runningLimit),
          timestamp(unixSeconds(team.createdAt)),
        ]),
        output.paint,
        'No teams yet. Make one with: graft admin teams create NAME',
      ),
    );
  });
}

/** Field names and times as the API has them. */
const wireTeam = (team: Team) => ({
  id: team.id,
  name: team.name,
  running_limit: team.runningLimit,
  created_at: unixSeconds(team.createdAt),
});
