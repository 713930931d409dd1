import type { Role, TeamObject } from '@graft/client';
import { type Command, Option } from 'commander';
import { anyNumber, wholeNumber } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { linkOf } from '../team/invitations.ts';
import { roles } from '../team/keys.ts';
import { noun } from '../verb.ts';
import { listed, time } from './answer.ts';
import { existingTeam } from './existing-team.ts';
import { given, operatorVerb, overApi, wholePage } from './operator-verb.ts';
import { addQuotaVerb } from './team-quota.ts';

export function addTeamVerbs(admin: Command): void {
  const teams = noun(admin, 'teams', 'teams: create, list, limit, weight, quota, budget, invite, delete');

  const creates = 'create a team; its name is part of the names of its models';
  operatorVerb(teams, 'create <name>', creates, 'research --running-limit 4')
    .option('--running-limit <n>', 'maximum number of running jobs (default: 8)', wholeNumber(1))
    .option('--weight <n>', 'share of the workers, relative to other teams (default: 1)', wholeNumber(1))
    .action(
      overApi(async ({ admin }, options: { runningLimit?: number; weight?: number }, name: string) => {
        const { runningLimit: running_limit, weight } = options;
        const team = await admin.teams.create({ name, ...given({ running_limit, weight }) });
        const next = `graft admin keys create --team ${team.name}`;
        return { value: team, text: `Team ${team.name} is ${team.id}.\nNext: ${next}` };
      }),
    );

  operatorVerb(teams, 'list', 'list all teams, oldest first').action(
    overApi(async ({ admin }) =>
      listed(
        (await admin.teams.list(wholePage).toArray()).toReversed(),
        {
          ID: 'id',
          NAME: 'name',
          'RUNNING LIMIT': 'running_limit',
          WEIGHT: 'weight',
          CREATED: (team) => time(team.created_at),
        },
        'No teams yet. Create one with: graft admin teams create NAME',
      ),
    ),
  );

  addChangeVerb(
    teams,
    'limit',
    'change the maximum number of running jobs of a team',
    (n) => ({ running_limit: n }),
    (team) => `${team.name} may have ${team.running_limit} running jobs.`,
  );
  addChangeVerb(
    teams,
    'weight',
    'change the share of the workers that a team gets, relative to the weights of other teams with jobs',
    (n) => ({ weight: n }),
    (team) => `${team.name} has the weight ${team.weight}.`,
  );
  addQuotaVerb(teams);
  addBudgetVerb(teams);
  addInviteVerb(teams);

  const deletes =
    'permanently delete a team with its files, jobs, adapters and keys; refused while it has unfinished jobs';
  operatorVerb(teams, 'delete <team>', deletes, 'research --name research')
    .requiredOption('--name <name>', 'the name of the team again, as confirmation')
    .action(
      overApi(async ({ admin }, { name }: { name: string }, team: string) => {
        const { id } = await existingTeam(admin, team);
        return { value: await admin.teams.delete(id, name), text: `Deleted the team ${name}.` };
      }),
    );
}

function addChangeVerb(
  teams: Command,
  name: string,
  summary: string,
  change: (n: number) => { running_limit?: number; weight?: number },
  text: (team: TeamObject) => string,
): void {
  operatorVerb(teams, `${name} <team> <n>`, summary, 'research 4').action(
    overApi(async ({ admin }, _options: object, team: string, n: string) => {
      const to = change(wholeNumber(1)(n));
      const value = await admin.teams.update((await existingTeam(admin, team)).id, to);
      return { value, text: text(value) };
    }),
  );
}

function addBudgetVerb(teams: Command): void {
  const summary = 'show, set or remove the monthly budget of a team';
  operatorVerb(teams, 'budget <team> [monthly]', summary, 'research 500 --warn-at 0.9', 'research --remove')
    .option('--warn-at <share>', 'warn the team at this share of the budget (default: 0.8)', anyNumber)
    .option('--warn-only', 'only warn: do not stop the team when the budget is spent')
    .option('--remove', 'remove the budget')
    .action(
      overApi(
        async ({ admin: { teams, budgets } }, options: BudgetOptions, name: string, monthly?: string) => {
          const { id } = await existingTeam({ teams }, name);
          const absent = (error: { code?: string }) => {
            if (error.code === 'budget_not_found') return null;
            throw error;
          };
          const settings = { ...given({ warn_at: options.warnAt }), stops: !options.warnOnly };
          const budget = options.remove
            ? await budgets.remove(id).then(() => null, absent)
            : monthly === undefined
              ? await budgets.retrieve(id).catch(absent)
              : await budgets.set(id, { monthly: anyNumber(monthly), ...settings });
          if (!budget) return { value: null, text: `${name} has no budget.` };
          const spent = `${name} has spent ${budget.spent.toFixed(2)} of ${budget.monthly} this month`;
          const until = new Date(budget.resets_at * 1000).toISOString();
          const warned = budget.stops ? '' : '; it is only warned';
          return { value: budget, text: `${spent}, until ${until}${warned}.` };
        },
      ),
    );
}

interface BudgetOptions {
  warnAt?: number;
  warnOnly?: boolean;
  remove?: boolean;
}

function addInviteVerb(teams: Command): void {
  const summary = 'create an invitation link for one person, usually the first admin of a team';
  const example = 'research --email lead@example.com --base-url https://graft.example.com/v1';
  operatorVerb(teams, 'invite <team>', summary, example)
    .option('--email <email>', 'only for this email (default: anyone who has the link)')
    .addOption(new Option('--role <role>', 'role in the team').choices(roles).default('admin'))
    .action(
      overApi(async ({ admin, baseUrl }, options: { email?: string; role: Role }, name: string) => {
        const { id } = await existingTeam(admin, name);
        const { email, role } = options;
        const invitation = await admin.teams.invite(id, { role, ...given({ email }) });
        const link = linkOf(baseUrl, invitation);
        const until = timestamp(invitation.expires_at);
        return {
          value: { ...invitation, link },
          text: link,
          note: `Open it in a browser or with \`graft join\`. It works once, until ${until}, and is shown only once.`,
        };
      }),
    );
}
