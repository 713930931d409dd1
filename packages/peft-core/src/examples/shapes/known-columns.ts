import { formats } from '../formats/formats.ts';
import { shapes } from './shapes.ts';

/** Optional fields of formats, which their samples lack. */
const OPTIONAL = ['negative', 'text_a', 'tools', 'parallel_tool_calls', 'weight'];

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
  ...layouts.flatMap(({ fields }) => fields),
  ...shapes.flatMap(({ columns }) => columns),
  ...OPTIONAL,
  // Refused with a reason.
  'functions',
]);
