import type { Command } from 'commander';
import { columnsArgument, columnsHelp } from '../arguments.ts';
import { count } from '../draw/quantities.ts';
import { fields } from '../draw/table.ts';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { dataPath } from './data-path.ts';

interface Options extends VerbOptions {
  columns?: Record<string, string>;
}

export function addCheckVerb(program: Command): void {
  const checks = 'check a data file as an upload does: what it is recognised as, and every invalid row';
  const examples = [
    'train.jsonl',
    'faq.csv --columns prompt=question,completion=answer',
    'hf://datasets/organisation/name?split=train',
  ];
  verb(program, 'check <path>', checks, ...examples)
    .option('--columns <mapping>', columnsHelp, columnsArgument)
    .action(check);
}

async function check(given: string, options: Options): Promise<void> {
  const output = createOutput(options);
  const path = await dataPath(given, output.note);
  const { checkDataFile, parseColumns } = await import('@graft/peft-core/examples');
  const columns = options.columns === undefined ? null : parseColumns(options.columns, '--columns');
  const { recognised, format, examples } = await checkDataFile(path, {}, columns);
  output.result({ path, ...recognised, format, examples }, () =>
    fields(
      {
        file: path,
        kind: recognised.kind,
        compression: recognised.compression,
        shape: recognised.shape,
        columns: columns && JSON.stringify(columns),
        format,
        examples: count(examples),
      },
      output.paint,
    ),
  );
}
