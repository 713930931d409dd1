import { type Command, InvalidArgumentError } from 'commander';
import { quotaView } from '../draw/quota-view.ts';
import { wholeNumber, words } from '../options/arguments.ts';
import type { RemoteOptions } from '../remote/connect.ts';
import { serviceVerb } from '../remote/service-verb.ts';
import { existingTeam } from './existing.ts';

/** Accepts `none`, which removes a limit. It stays a word, because commander turns null into an empty string. */
const orNone =
  <T>(parse: (text: string) => T) =>
  (text: string): T | 'none' =>
    text === 'none' ? text : parse(text);

const amount = orNone(wholeNumber(0));
const size = orNone(wholeNumber(1));

/** Parses 500MB, 2GB, 1TB or plain bytes, in powers of 1000, as sizes are printed. */
function byteCount(text: string): number {
  const match = /^(\d{1,12})(?:([kMGT])?B)?$/.exec(text);
  const value = Number(match?.[1]) * 1000 ** ' kMGT'.indexOf(match?.[2] ?? ' ');
  if (!match || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('It must be a size such as 500MB, 20GB or a number of bytes, or none.');
  return value;
}

/** `graft admin teams quota`: prints the quota, after changing what the options set. */
export function addQuotaVerb(teams: Command): void {
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
