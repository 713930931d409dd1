import type { Role } from '@graft/client';
import { type Command, InvalidArgumentError } from 'commander';
import { listed, time } from '../answer.ts';
import { timestamp } from '../draw/quantities.ts';
import { quotaView } from '../draw/quota-view.ts';
import { anyNumber, given, wholeNumber, words } from '../options/arguments.ts';
import type { RemoteOptions } from '../remote/connect.ts';
import { serviceVerb, wholePage } from '../remote/service-verb.ts';
import { linkOf } from '../team/invitations.ts';
import { roleOption } from '../team/key-options.ts';
import { ifBudgeted } from '../team/usage.ts';
import { noun } from '../verb.ts';
import { existingTeam } from './existing.ts';

export function addTeamVerbs(admin: Command): void {
  const teams = noun(admin, 'teams', 'teams: create, list, limit, weight, quota, budget, invite, delete');

  const creates = 'create a team; its name is part of the names of its models';
  serviceVerb(teams, 'create <name>', creates, 'research --running-limit 4')
    .option('--running-limit <n>', 'maximum number of running jobs (default: 8)', wholeNumber(1))
    .option('--weight <n>', 'share of the workers, relative to other teams (default: 1)', wholeNumber(1))
    .run(async ({ admin }, name: string, options: { runningLimit?: number; weight?: number }) => {
      const { runningLimit: running_limit, weight } = options;
      const team = await admin.teams.create({ name, ...given({ running_limit, weight }) });
      const next = `graft admin keys create --team ${team.name}`;
      return { value: team, text: `Team ${team.name} is ${team.id}.\nNext: ${next}` };
    });

  serviceVerb(teams, 'list', 'list all teams, oldest first').run(async ({ admin }) =>
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
  );

  const limits = 'change the maximum number of running jobs of a team';
  serviceVerb(teams, 'limit <team> <n>', limits, 'research 4').run(
    async ({ admin }, name: string, n: string) => {
      const running_limit = wholeNumber(1)(n);
      const team = await admin.teams.update((await existingTeam(admin, name)).id, { running_limit });
      return { value: team, text: `${team.name} may have ${team.running_limit} running jobs.` };
    },
  );

  const weighs =
    'change the share of the workers that a team gets, relative to the weights of other teams with jobs';
  serviceVerb(teams, 'weight <team> <n>', weighs, 'research 4').run(
    async ({ admin }, name: string, n: string) => {
      const weight = wholeNumber(1)(n);
      const team = await admin.teams.update((await existingTeam(admin, name)).id, { weight });
      return { value: team, text: `${team.name} has the weight ${team.weight}.` };
    },
  );
  addQuotaVerb(teams);
  addBudgetVerb(teams);
  addInviteVerb(teams);

  const deletes =
    'permanently delete a team with its files, jobs, adapters and keys; refused while it has unfinished jobs';
  serviceVerb(teams, 'delete <team>', deletes, 'research --name research')
    .requiredOption('--name <name>', 'the name of the team again, as confirmation')
    .run(async ({ admin }, team: string, { name }: { name: string }) => {
      const { id } = await existingTeam(admin, team);
      return { value: await admin.teams.delete(id, name), text: `Deleted the team ${name}.` };
    });
}

function addBudgetVerb(teams: Command): void {
  const summary = 'show, set or remove the monthly budget of a team';
  serviceVerb(teams, 'budget <team> [monthly]', summary, 'research 500 --warn-at 0.9', 'research --remove')
    .option('--warn-at <share>', 'warn the team at this share of the budget (default: 0.8)', anyNumber)
    .option('--warn-only', 'only warn: do not stop the team when the budget is spent')
    .option('--remove', 'remove the budget')
    .run(async ({ admin }, name: string, monthly: string | undefined, options: BudgetOptions) => {
      const { id } = await existingTeam(admin, name);
      const settings = { ...given({ warn_at: options.warnAt }), stops: !options.warnOnly };
      const budget = options.remove
        ? await ifBudgeted(admin.budgets.remove(id)).then(() => null)
        : monthly === undefined
          ? await ifBudgeted(admin.budgets.retrieve(id))
          : await admin.budgets.set(id, { monthly: anyNumber(monthly), ...settings });
      if (!budget) return { value: null, text: `${name} has no budget.` };
      const spent = `${name} has spent ${budget.spent.toFixed(2)} of ${budget.monthly} this month`;
      const until = new Date(budget.resets_at * 1000).toISOString();
      const warned = budget.stops ? '' : '; it is only warned';
      return { value: budget, text: `${spent}, until ${until}${warned}.` };
    });
}

interface BudgetOptions {
  warnAt?: number;
  warnOnly?: boolean;
  remove?: boolean;
}

function addInviteVerb(teams: Command): void {
  const summary = 'create an invitation link for one person, usually the first admin of a team';
  const example = 'research --email lead@example.com --base-url https://graft.example.com/v1';
  serviceVerb(teams, 'invite <team>', summary, example)
    .option('--email <email>', 'only for this email (default: anyone who has the link)')
    .addOption(roleOption('role in the team', 'admin'))
    .run(async ({ admin, baseUrl }, name: string, options: { email?: string; role: Role }) => {
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
    });
}

/** Accepts `none`, which removes a limit. It stays a word, because commander turns null into an empty string. */
const orNone =
  <T>(parse: (text: string) => T) =>
  (text: string): T | 'none' =>
    text === 'none' ? text : parse(text);

const amount = orNone(wholeNumber(0));
const size = orNone(wholeNumber(1));

/** Parses 500MB, 2GB, 1TB or plain bytes, in powers of 1000, as sizes are printed. */
function byteCount(text: string): number {
  const match = /^(\d{1,12})(?: ?([kmgt])?B)?$/i.exec(text.trim());
  const value = Number(match?.[1]) * 1000 ** ' kmgt'.indexOf(match?.[2]?.toLowerCase() ?? ' ');
  if (!match || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('It must be a size such as 500MB, 20GB or a number of bytes, or none.');
  return value;
}

/** `graft admin teams quota`: prints the quota, after changing what the options set. */
function addQuotaVerb(teams: Command): void {
  const summary = 'show and change the limits of a team; the value none removes a limit';
  const changes = [
    'research --queued-jobs 50 --stored-bytes 20GB --max-rank 64',
    'research --queued-jobs none',
  ];
  serviceVerb(teams, 'quota <team>', summary, 'research', ...changes)
    .option('--running-jobs <n>', 'maximum number of running jobs', wholeNumber(1))
    .option('--queued-jobs <n>', 'maximum number of waiting jobs: validating, queued or paused', amount)
    .option(
      '--stored-bytes <size>',
      'total size of files, pending uploads and adapters, such as 20GB',
      orNone(byteCount),
    )
    .option('--files <n>', 'maximum number of files and pending uploads', amount)
    .option('--adapters <n>', 'maximum number of adapter versions', amount)
    .option('--exports <n>', 'maximum number of exports', amount)
    .option('--tokens-per-month <n>', 'trained tokens in a calendar month (UTC)', amount)
    .option('--open-uploads <n>', 'maximum number of pending multipart uploads', amount)
    .option(
      '--models <models>',
      'base models that jobs may train: ids, or prefixes with * at the end',
      orNone(words),
    )
    .option('--methods <methods>', 'PEFT methods that jobs may use', orNone(words))
    .option('--max-rank <n>', 'maximum rank', size)
    .option('--max-seq-length <n>', 'maximum sequence length', size)
    .option('--tokens-per-job <n>', 'maximum tokens of a job: tokens of the data × epochs', amount)
    .run(async ({ admin }, name: string, options: RemoteOptions & { debug?: boolean }) => {
      const { json: _json, debug: _debug, baseUrl: _url, apiKey: _key, ...named } = options;
      // commander names --queued-jobs queuedJobs; the API's field is queued_jobs.
      const change = Object.entries(named).map(([option, value]) => [
        option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
        value === 'none' ? null : value,
      ]);
      const { id } = await existingTeam(admin, name);
      const quota =
        change.length > 0
          ? await admin.teams.setQuota(id, Object.fromEntries(change))
          : await admin.teams.quota(id);
      return { value: quota, text: (paint) => quotaView(quota, paint) };
    });
}
