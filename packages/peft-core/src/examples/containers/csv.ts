import type { Container } from './container.ts';
import { readSeparated, separatorOf } from './separated.ts';

/** Values separated by commas or semicolons, with the names of the columns in the first row. */
export const csv: Container = {
  name: 'csv',
  title: 'CSV',
  unit: 'row',
  sample: 'prompt,completion',
  cells: 'text',
  recognised: 'the first row has names, separated by `,` or `;`',
  matches: (start) => [',', ';'].includes(separatorOf(start) ?? ''),
  stream: (sink, start) => readSeparated(sink, separatorOf(start)!),
};
