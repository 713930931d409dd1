import type { Container } from './container.ts';
import { jsonArray } from './json-array.ts';
import { jsonl } from './jsonl.ts';
import { parquet } from './parquet/parquet.ts';
import { readSeparated, separatorOf } from './separated.ts';
import { tar } from './tar.ts';

/** Values separated by tabs, with the names of the columns in the first row. */
const tsv: Container = {
  name: 'tsv',
  title: 'TSV',
  unit: 'row',
  sample: 'prompt⇥completion',
  cells: 'text',
  recognised: 'the first row has names, separated by tabs',
  matches: (start) => separatorOf(start) === '\t',
  stream: (sink) => readSeparated(sink, '\t'),
};

/** Values separated by commas or semicolons, with the names of the columns in the first row. */
const csv: Container = {
  name: 'csv',
  title: 'CSV',
  unit: 'row',
  sample: 'prompt,completion',
  cells: 'text',
  recognised: 'the first row has names, separated by `,` or `;`',
  matches: (start) => [',', ';'].includes(separatorOf(start) ?? ''),
  stream: (sink, start) => readSeparated(sink, separatorOf(start)!),
};

/** All kinds of data files, in the order in which a file's content is compared with them. */
export const containers: readonly Container[] = [parquet, tar, jsonArray, jsonl, csv, tsv];
