import type { Role, TeamObject } from '@graft/client';
import { type Command, Option } from 'commander';
import { anyNumber, wholeNumber } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { linkOf } from '../team/invitations.ts';
import { roles } from '../team/keys.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';
import { listed } from './answer.ts';
import { existingTeam } from './existing-team.ts';
import { given, overApi, wholePage } from './over-api.ts';
import { addQuotaVerb } from './team-quota.ts';

export function addTeamVerbs(admin: Command): void {
  const teams = noun(admin, 'teams', 'create, list, limit, weight, quota, budget, invite, delete');

  verb(teams, {
    name: 'create <name>',
    summary: 'create a team; its name is part of the names of its models',
    examples: ['graft admin teams create research --running-limit 4'],
    remote: 'operator',
  })
    .option('--running-limit <n>', 'maximum number of running jobs (default: 8)', wholeNumber(1))
    .option('--weight <n>', 'its share of the machines, relative to other teams (default: 1)', wholeNumber(1))
    .action(
      overApi(async ({ admin }, { runningLimit, weight }: CreateOptions, name: string) => {
        const team = await admin.teams.create({ name, ...given({ running_limit: runningLimit, weight }) });
        return {
          value: team,
          text: `Team ${team.name} is ${team.id}.\nNext: graft admin keys create --team ${team.name}`,
        };
      }),
    );

  verb(teams, {
    name: 'list',
    summary: 'list all teams',
    examples: ['graft admin teams list'],
    remote: 'operator',
  }).action(
    overApi(async ({ admin }) =>
      listed(
        (await admin.teams.list(wholePage).toArray()).toReversed(),
        {
          ID: ({ id }) => id,
          NAME: ({ name }) => name,
          'RUNNING LIMIT': (team) => String(team.running_limit),
          WEIGHT: ({ weight }) => String(weight),
          CREATED: (team) => timestamp(team.created_at),
        },
        'No teams yet. Create one with: graft admin teams create NAME',
      ),
    ),
  );

  addChangeVerb(teams, {
    name: 'limit',
    summary: 'change the maximum number of running jobs of a team',
    example: 'graft admin teams limit research 4',
    change: (n) => ({ running_limit: n }),
    text: (team) => `${team.name} may run ${team.running_limit} at once.`,
  });
  addChangeVerb(teams, {
    name: 'weight',
    summary: 'change the share of a team, relative to the weights of the other teams that have jobs',
    example: 'graft admin teams weight research 3',
    change: (n) => ({ weight: n }),
    text: (team) => `${team.name} has the weight ${team.weight}.`,
  });
  addQuotaVerb(teams);
  addBudgetVerb(teams);
  addInviteVerb(teams);

  verb(teams, {
    name: 'delete <team>',
    summary: 'delete a team for good, with its files, jobs, adapters and keys, when its jobs have ended',
    examples: ['graft admin teams delete research --name research'],
    remote: 'operator',
  })
    .requiredOption('--name <name>', 'the name of the team once more, to be sure')
    .action(
      overApi(async ({ admin }, { name }: RemoteOptions & { name: string }, team: string) => {
        const { id } = await existingTeam(admin, team);
        return { value: await admin.teams.delete(id, name), text: `Deleted the team ${name}.` };
      }),
    );
}

interface CreateOptions extends RemoteOptions {
  runningLimit?: number;
  weight?: number;
}

function addChangeVerb(
  teams: Command,
  spec: {
    name: string;
    summary: string;
    example: string;
    change: (n: number) => { running_limit?: number; weight?: number };
    text: (team: TeamObject) => string;
  },
): void {
  verb(teams, {
    name: `${spec.name} <team> <n>`,
    summary: spec.summary,
    examples: [spec.example],
    remote: 'operator',
  }).action(
    overApi(async ({ admin }, _options: RemoteOptions, name: string, n: string) => {
      const change = spec.change(wholeNumber(1)(n));
      const team = await admin.teams.update((await existingTeam(admin, name)).id, change);
      return { value: team, text: spec.text(team) };
    }),
  );
}

interface BudgetOptions extends RemoteOptions {
  warnAt?: number;
  warnOnly?: boolean;
  remove?: boolean;
}

function addBudgetVerb(teams: Command): void {
  verb(teams, {
    name: 'budget <team> [monthly]',
    summary: 'show, set or remove what a team may spend in a month',
    examples: [
      'graft admin teams budget research 500 --warn-at 0.9',
      'graft admin teams budget research --remove',
    ],
    remote: 'operator',
  })
    .option('--warn-at <share>', 'share of the budget at which the team is warned (default: 0.8)', anyNumber)
    .option('--warn-only', 'let the team continue once it is spent')
    .option('--remove', 'let the team spend without a limit')
    .action(
      overApi(async ({ admin }, options: BudgetOptions, name: string, monthly?: string) => {
        const { id } = await existingTeam(admin, name);
        const absent = (error: { code?: string }) => {
          if (error.code === 'budget_not_found') return null;
          throw error;
        };
        const settings = { ...given({ warn_at: options.warnAt }), stops: !options.warnOnly };
        const budget = options.remove
          ? await admin.budgets.remove(id).then(() => null, absent)
          : monthly === undefined
            ? await admin.budgets.retrieve(id).catch(absent)
            : await admin.budgets.set(id, { monthly: anyNumber(monthly), ...settings });
        if (!budget) return { value: null, text: `${name} has no budget.` };
        const { spent, stops, resets_at } = budget;
        const until = new Date(resets_at * 1000).toISOString();
        return {
          value: budget,
          text: `${name} has spent ${spent.toFixed(2)} of ${budget.monthly} this month, until ${until}${stops ? '' : '; it is only warned'}.`,
        };
      }),
    );
}

function addInviteVerb(teams: Command): void {
  verb(teams, {
    name: 'invite <team>',
    summary: 'create a link by which one person joins a team, its first admin as a rule',
    examples: [
      'graft admin teams invite research --email lead@example.com --base-url https://graft.example.com/v1',
    ],
    remote: 'operator',
  })
    .option('--email <email>', 'whom it is for (default: anyone who has the link)')
    .addOption(new Option('--role <role>', 'what they may do').choices(roles).default('admin'))
    .action(
      overApi(async ({ admin, baseUrl }, { email, role }: InviteOptions, name: string) => {
        const { id } = await existingTeam(admin, name);
        const invitation = await admin.teams.invite(id, { email: email ?? null, role });
        const link = linkOf(baseUrl, invitation);
        return {
          value: { ...invitation, link },
          text: link,
          note: `For a browser or \`graft join\`, once, until ${timestamp(invitation.expires_at)}. It is shown this once.`,
        };
      }),
    );
}

interface InviteOptions extends RemoteOptions {
  email?: string;
  role: Role;
}
