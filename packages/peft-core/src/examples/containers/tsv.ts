import type { Container } from './container.ts';
import { readSeparated, separatorOf } from './separated.ts';

/** Values separated by tabs, with the names of the columns in the first row. */
export const tsv: Container = {
  name: 'tsv',
  title: 'TSV',
  unit: 'row',
  sample: 'prompt⇥completion',
  cells: 'text',
  recognised: 'the first row has names, separated by tabs',
  matches: (start) => separatorOf(start) === '\t',
  stream: (sink) => readSeparated(sink, '\t'),
};
