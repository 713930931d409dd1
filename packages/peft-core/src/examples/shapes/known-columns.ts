import { formats } from '../formats/formats.ts';
import { shapes } from './shapes.ts';

/** Fields of each format and shape, with an example of a row, in the order of their lists. */
export const layouts: readonly { fields: readonly string[]; sample: string }[] = [
  ...formats.map(({ sample }) => ({ fields: Object.keys(JSON.parse(sample)), sample })),
  ...shapes.map(({ columns, sample }) => ({
    // Required ones: those of the example.
    fields: columns.filter((name) => name in JSON.parse(sample)),
    sample,
  })),
];

/** Names of all columns that a format or a shape uses. */
export const knownColumns: ReadonlySet<string> = new Set([
  ...[...formats, ...shapes].flatMap(({ columns }) => columns),
  // Columns of rows of every format.
  ...['weight', 'kto_tag'],
  // Refused with a reason.
  'functions',
]);
