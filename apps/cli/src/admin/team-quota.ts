import type { TeamQuota as WireQuota } from '@graft/client';
import type { QuotaUse, TeamQuota } from '@graft/service';
import { type Command, InvalidArgumentError } from 'commander';
import { wholeNumber, words } from '../arguments.ts';
import { quotaView } from '../draw/quota-view.ts';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { existingTeam } from './existing-team.ts';
import { unixSeconds, withServices } from './with-services.ts';

type QuotaOptions = { [Name in keyof TeamQuota]?: TeamQuota[Name] | 'none' };

/** `none` takes a limit away. As a word, since commander makes an empty text of null. */
const orNone =
  <T>(parse: (text: string) => T) =>
  (text: string): T | 'none' =>
    text === 'none' ? text : parse(text);

const amount = orNone(wholeNumber(0));
const size = orNone(wholeNumber(1));

/** 500MB, 2GB, 1TB or plain bytes; powers of 1000, as they are shown. */
function byteCount(text: string): number {
  const match = /^(\d{1,12})(?:([kMGT])?B)?$/.exec(text);
  const value = Number(match?.[1]) * 1000 ** ' kMGT'.indexOf(match?.[2] ?? ' ');
  if (!match || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('It must be a size such as 500MB, 20GB or a number of bytes, or none.');
  return value;
}

/** `graft admin teams quota`: shows it, and changes what options name. */
export function addQuotaVerb(teams: Command): void {
  verb(teams, {
    name: 'quota <team>',
    summary: 'show what a team may have and ask for, and change it; none takes a limit away',
    examples: [
      'graft admin teams quota research',
      'graft admin teams quota research --queued-jobs 50 --stored-bytes 20GB --max-rank 64',
      'graft admin teams quota research --queued-jobs none',
    ],
  })
    .option('--running-jobs <n>', 'jobs that may run at once', wholeNumber(1))
    .option('--queued-jobs <n>', 'jobs that may wait: validating, queued or paused', amount)
    .option('--stored-bytes <size>', 'of files, pending uploads and adapters together', orNone(byteCount))
    .option('--tokens-per-month <n>', 'trained in a calendar month of UTC', amount)
    .option('--open-uploads <n>', 'uploads in parts that may be pending', amount)
    .option('--models <models>', 'base models that jobs may train; a * at the end', orNone(words))
    .option('--methods <methods>', 'PEFT methods that jobs may use', orNone(words))
    .option('--max-rank <n>', 'largest rank', size)
    .option('--max-seq-length <n>', 'longest sequence', size)
    .option('--tokens-per-job <n>', 'tokens of the data × epochs', amount)
    .action(async (name: string, { json, ...options }: VerbOptions & QuotaOptions & { debug?: boolean }) => {
      const { debug: _, ...named } = options;
      const change = Object.fromEntries(
        Object.entries(named).map(([name, value]) => [name, value === 'none' ? null : value]),
      ) as Partial<TeamQuota>;
      const quota = await withServices(async (services, service) => {
        const { id } = await existingTeam(services, service, name);
        const isChange = Object.keys(change).length > 0;
        const set = isChange
          ? await service.setQuota(services, id, change)
          : await service.readQuota(services, id);
        return wireQuota(id, set!, await service.readQuotaUse(services, id));
      });
      const output = createOutput({ json: json ?? false });
      output.result(quota, () => quotaView(quota, output.paint));
    });
}

/** Field names and times as the API has them. */
function wireQuota(teamId: string, quota: TeamQuota, use: QuotaUse): WireQuota {
  return {
    object: 'team.quota',
    team_id: teamId,
    running_jobs: quota.runningJobs,
    queued_jobs: quota.queuedJobs,
    stored_bytes: quota.storedBytes,
    tokens_per_month: quota.tokensPerMonth,
    open_uploads: quota.openUploads,
    models: quota.models && [...quota.models],
    methods: quota.methods && [...quota.methods],
    max_rank: quota.maxRank,
    max_seq_length: quota.maxSeqLength,
    tokens_per_job: quota.tokensPerJob,
    use: {
      running_jobs: use.runningJobs,
      queued_jobs: use.queuedJobs,
      stored_bytes: use.storedBytes,
      trained_tokens: use.trainedTokens,
      planned_tokens: use.plannedTokens,
      open_uploads: use.openUploads,
    },
    has_budget: use.hasBudget,
    month_ends: unixSeconds(use.monthEnds),
  };
}
