import type { FileReport, ReportChats, ReportResult, ReportTokens } from '@graft/client';
import { type Fault, faultText } from './fault-text.ts';
import type { Paint } from './paint.ts';
import { printable } from './printable.ts';
import { count } from './quantities.ts';
import { fields } from './table.ts';

/** Maximum number of lines shown from a list; --json has all. */
const maxListed = 10;
const barWidth = 40;

/** A file report in human-readable form: counts, faults, a histogram of lengths, and examples with the target tokens marked. */
export function fileReportView({ model, job, report }: FileReport, paint: Paint): string {
  if (report === null) return '';
  const { tokens } = report;
  const sections = [summary(report, model, paint)];
  if (job) sections.push(plannedJob(job, report, paint));
  sections.push(
    listed('Bad lines', report.bad_lines, paint, faultText),
    listed(
      'Duplicates',
      report.duplicates,
      paint,
      (each) => `line ${each.line} repeats line ${each.first_line}`,
    ),
  );
  if (tokens) {
    sections.push(
      listed(
        `Over ${count(tokens.max_seq_length)} tokens, which ${overlongText(job)}`,
        tokens.too_long,
        paint,
        (each) => `line ${each.line} has ${count(each.tokens)}`,
      ),
      listed(
        'Special tokens in content, which are read as plain text unless training.allow_special_tokens is set',
        tokens.special_tokens,
        paint,
        (each) => `line ${each.line} has ${count(each.count)}`,
      ),
      longest(tokens, paint),
      histogram(tokens, paint),
      preview(tokens, paint),
    );
  }
  return sections.filter((section) => section !== '').join('\n\n');
}

/** The options of the job that decide what it reads, and what it counts in the file. */
function plannedJob(
  job: NonNullable<FileReport['job']>,
  { chats, tokens }: ReportResult,
  paint: Paint,
): string {
  const { examples = 0, truncated = 0, skipped = 0, zero_weight = 0 } = tokens?.counts ?? {};
  const some = (number: number, what: string) => (number > 0 ? [`${count(number)} ${what}`] : []);
  const kwargs = Object.keys(job.chat_template_kwargs).length > 0;
  const table = fields(
    {
      method: job.method,
      ...(tokens?.by_role && {
        'chat template': `that of the ${job.has_chat_template ? 'job' : 'base model'}`,
        kwargs: kwargs ? JSON.stringify(job.chat_template_kwargs) : null,
      }),
      train_on: chats && (job.mask_reasoning ? `${job.train_on}, without reasoning` : job.train_on),
      overlong: job.overlong,
      uses: [
        `${count(examples)} examples`,
        ...some(truncated, 'truncated'),
        ...some(skipped, 'skipped'),
        ...some(zero_weight, 'of weight 0 left out'),
      ].join(', '),
    },
    paint,
  );
  return `${paint.bold('As the job reads it')}\n${table}`;
}

/** Treatment of examples that are too long; without a job, of any job. */
const overlongText = (job: FileReport['job']): string =>
  job
    ? ({ truncate: 'the job truncates', skip: 'the job skips' }[job.overlong] ??
      'the job rejects, or splits if they are plain texts')
    : 'a job rejects unless training.overlong is set, or splits if they are plain texts';

/** Format that a file was recognised as: "csv, gzip; shape sharegpt". */
function recognisedText({
  kind,
  compression,
  shape,
  columns,
}: NonNullable<ReportResult['recognised']>): string {
  const file = compression ? `${kind}, ${compression}` : kind;
  const mapping = columns ? `; columns ${JSON.stringify(columns)}` : '';
  return `${file}${shape ? `; shape ${shape}` : ''}${mapping}`;
}

function summary(report: ReportResult, model: string | null, paint: Paint): string {
  const { duplicates, tokens, weights, chats } = report;
  const part = (some: number, all: number) => (all === 0 ? '' : ` (${((100 * some) / all).toFixed(1)} %)`);
  return fields(
    {
      file: report.recognised && recognisedText(report.recognised),
      format: report.format,
      lines: count(report.lines),
      examples: count(report.examples),
      'bad lines': count(report.bad_lines.count),
      'not read': report.unread_columns.map(unreadText),
      weighted:
        weights.count === 0 ? null : `${count(weights.count)} examples, ${count(weights.zero)} of weight 0`,
      messages: chats?.messages.map(({ role, count: all }) => `${count(all)} ${role}`).join(', '),
      split: chats?.split && chats.split.count > 0 ? splitText(chats.split) : null,
      pairs: report.pairs && pairsText(report.pairs),
      judged:
        report.judgements &&
        `${count(report.judgements.desirable)} desirable, ${count(report.judgements.undesirable)} undesirable`,
      tools: chats && chats.with_tools > 0 ? toolsText(chats) : null,
      duplicates: `${duplicates.exact ? '' : 'about '}${count(duplicates.count)}`,
      model,
      task: tokens?.task,
      tokens: tokens && count(tokens.total),
      'trained on':
        tokens &&
        (tokens.learnt === null
          ? 'one label or score per example'
          : `${count(tokens.learnt)} tokens${part(tokens.learnt, tokens.total)}`),
      'by role': tokens?.by_role
        ?.map(
          ({ role, tokens: all, learnt }) =>
            `${role} ${count(all)}${learnt > 0 && learnt < all ? ` (${count(learnt)} trained on)` : ''}`,
        )
        .join(', '),
      'too long': tokens && `${count(tokens.too_long.count)} over ${count(tokens.max_seq_length)} tokens`,
    },
    paint,
  );
}

export const unreadText = ({ name, values }: ReportResult['unread_columns'][number]): string =>
  `${JSON.stringify(name)} (${count(values)} value${values === 1 ? '' : 's'})`;

function pairsText({ count: all, answers }: NonNullable<ReportResult['pairs']>): string {
  if (answers === null) return count(all);
  const { chosen, rejected, chosen_longer } = answers;
  return `${count(all)}; answers of ${chosen.toFixed(1)} tokens chosen and ${rejected.toFixed(1)} rejected on average, the chosen one longer in ${count(chosen_longer)}`;
}

function splitText({ count: some, examples }: NonNullable<ReportChats['split']>): string {
  const [what, which] = some === 1 ? ['1 conversation', 'is'] : [`${count(some)} conversations`, 'are'];
  return `${what} ${which} ${count(examples)} examples, one for each trained message: the chat template writes earlier messages differently than the last`;
}

/** Such as "messages[1] and messages[3]". */
function messagesText(numbers: readonly number[]): string {
  const names = numbers.slice(0, maxListed).map((number) => `messages[${number}]`);
  if (numbers.length > maxListed) return `${names.join(', ')}, …`;
  return [names.slice(0, -1).join(', '), names.at(-1)].filter(Boolean).join(' and ');
}

function toolsText({ tools, with_tools: examples, tool_calls: calls }: ReportChats): string {
  const named = tools
    .slice(0, maxListed)
    .map(({ name, calls }) => (calls > 0 ? `${name} (${count(calls)})` : name));
  const rest = tools.length > maxListed ? ', …' : '';
  return `${count(calls)} calls in ${count(examples)} examples with tools: ${printable(named.join(', '))}${rest}`;
}

function longest({ longest: all }: ReportTokens, paint: Paint): string {
  if (all.length === 0) return '';
  const lines = all.map(({ line, tokens }) => `line ${line}: ${count(tokens)}`);
  return `${paint.bold('Longest examples')}\n  ${lines.join(', ')}`;
}

function listed<T>(
  title: string,
  { count: all, listed: some }: { count: number; listed: T[] },
  paint: Paint,
  format: (each: T) => string,
): string {
  if (all === 0) return '';
  const lines = some.slice(0, maxListed).map((each) => `  ${printable(format(each))}`);
  const linesOf = (each: T): number => (each as Fault).count ?? 1;
  const more = some.slice(0, maxListed).reduce((rest, each) => rest - linesOf(each), all);
  return [paint.bold(title), ...lines, ...(more > 0 ? [paint.dim(`  and ${count(more)} more`)] : [])].join(
    '\n',
  );
}

function histogram({ lengths, max_seq_length: limit }: ReportTokens, paint: Paint): string {
  if (lengths === null) return '';
  const { histogram: bins, min, max, mean, p50, p90, p99 } = lengths;
  const most = Math.max(...bins.map(({ examples }) => examples));
  const label = (bin: { from: number; to: number }) =>
    bin.from === bin.to ? count(bin.from) : `${count(bin.from)}–${count(bin.to)}`;
  const width = Math.max(...bins.map((bin) => label(bin).length));
  const rows = bins.map((bin) => {
    const bar =
      bin.examples === 0 ? '' : '█'.repeat(Math.max(1, Math.round((barWidth * bin.examples) / most)));
    const painted = bin.from > limit ? paint.bad(bar) : paint.line(bar);
    const cut = bin.longer > 0 && bin.examples > 0 ? paint.dim(`  ${count(bin.longer)} longer`) : '';
    return `  ${label(bin).padStart(width)}  ${painted}${bar === '' ? '' : ' '}${count(bin.examples)}${cut}`;
  });
  const numbers = `shortest ${count(min)}, median ${count(p50)}, mean ${mean.toFixed(1)}, 90 % ≤ ${count(p90)}, 99 % ≤ ${count(p99)}, longest ${count(max)}`;
  return [`${paint.bold('Tokens per example')}  ${paint.dim(numbers)}`, ...rows].join('\n');
}

/** Shows examples with the target tokens in green, or in brackets where there are no colours. */
function preview({ preview: examples }: ReportTokens, paint: Paint): string {
  if (examples.length === 0) return '';
  const hasColours = paint.good('x') !== 'x';
  const learnt = (text: string) => (hasColours ? paint.good(text) : `[${text}]`);
  const lines = examples.flatMap(({ line, sequences, label, weight, dropped_reasoning: dropped }) => [
    paint.dim(
      `line ${line}${label === null ? '' : `, trained on: ${printable(label)}`}${weight === 1 ? '' : `, weight ${weight}`}`,
    ),
    ...sequences.map(({ role, tokens, left_out: rest }) => {
      // Consecutive tokens of the same kind are painted together.
      const runs: { learnt: boolean; weight: number; text: string }[] = [];
      for (const { learnt, weight, text } of tokens) {
        const last = runs.at(-1);
        if (last?.learnt === learnt && last.weight === weight) last.text += text;
        else runs.push({ learnt, weight, text });
      }
      const shown = runs.map((run) => {
        const text = printable(run.text).replaceAll('\n', '⏎').replaceAll('\t', '⇥');
        const factor = run.weight === 1 ? '' : paint.dim(`×${run.weight}`);
        return run.learnt ? learnt(text) + factor : text;
      });
      const name = role === 'text' ? '' : `${role}: `;
      return `  ${paint.dim(name)}${shown.join('')}${rest > 0 ? paint.dim(` … ${count(rest)} more tokens`) : ''}`;
    }),
    ...(dropped.length > 0
      ? [paint.dim(`  the chat template drops the reasoning of ${messagesText(dropped)}`)]
      : []),
  ]);
  const title = `Tokens trained on ${hasColours ? `(${paint.good('green')})` : '(in brackets)'}`;
  return [paint.bold(title), ...lines].join('\n');
}
