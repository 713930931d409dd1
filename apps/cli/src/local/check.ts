import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Objective } from '@graft/peft-core/config';
import type { Command } from 'commander';
import { unreadText } from '../draw/file-report-view.ts';
import { count } from '../draw/quantities.ts';
import { fields } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { columnsArgument, columnsHelp } from '../options/arguments.ts';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { dataPath } from './data-path.ts';

interface Options extends VerbOptions {
  columns?: Record<string, string>;
  corrected?: string;
}

export function addCheckVerb(program: Command): void {
  const checks = 'check a data file as an upload does: what it is recognised as, and every invalid row';
  const examples = [
    'train.jsonl',
    'faq.csv --columns prompt=question,completion=answer',
    'hf://datasets/organisation/name?split=train',
    'train.jsonl --corrected good.jsonl',
  ];
  verb(program, 'check <path>', checks, ...examples)
    .option('--columns <mapping>', columnsHelp, columnsArgument)
    .option('--corrected <file>', 'write the file without its invalid lines, for JSON lines')
    .action(check);
}

async function check(given: string, options: Options): Promise<void> {
  const output = createOutput(options);
  const path = await dataPath(given, output.note);
  const { checkDataFile, parseColumns } = await import('@graft/peft-core/examples');
  const columns = options.columns === undefined ? null : parseColumns(options.columns, '--columns');
  const bad = new Set<number>();
  const onBadLine = (line: number) => bad.add(line);
  const { corrected } = options;
  const onBadLines = corrected === undefined ? 'fail' : 'skip';
  const checked = await checkDataFile(path, { onBadLine }, columns, onBadLines);
  const { recognised, format, examples, skipped, unread } = checked;
  if (corrected !== undefined) {
    if (recognised.kind !== 'jsonl' || recognised.compression !== null)
      throw new UsageError(`--corrected writes JSON lines, and ${path} is another kind of file.`);
    await writeCorrected(path, corrected, bad);
    const { message = 'No line is invalid.' } = skipped ?? {};
    output.note(`${corrected} has the lines of ${path} without ${count(bad.size)} invalid ones. ${message}`);
  }
  const { objectiveOf } = await import('@graft/peft-core/config');
  const { examples: kind, method }: Objective = objectiveOf(format);
  output.result({ path, ...recognised, format, method, examples, unread_columns: unread }, () =>
    fields(
      {
        file: path,
        kind: recognised.kind,
        compression: recognised.compression,
        shape: recognised.shape,
        columns: columns && JSON.stringify(columns),
        format,
        method,
        examples: kind === undefined ? count(examples) : `${count(examples)} ${kind}`,
        'not read': unread.map(unreadText),
      },
      output.paint,
    ),
  );
}

const NEWLINE = 0x0a;

/** Copies the lines of a file except those with a number, from 1, in `left`. Throws where `to` exists. */
async function writeCorrected(from: string, to: string, left: ReadonlySet<number>): Promise<void> {
  let line = 1;
  async function* kept(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      let start = 0;
      while (start < chunk.length) {
        const end = chunk.indexOf(NEWLINE, start);
        const next = end === -1 ? chunk.length : end + 1;
        if (!left.has(line)) yield chunk.subarray(start, next);
        if (end !== -1) line++;
        start = next;
      }
    }
  }
  await pipeline(createReadStream(from), kept, createWriteStream(to, { flags: 'wx' }));
}
