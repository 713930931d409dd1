import { chat } from './chat.ts';
import { classification } from './classification.ts';
import type { DatasetFormat } from './format.ts';
import { multiLabelClassification } from './multi-label-classification.ts';
import { pairs } from './pairs.ts';
import { preference } from './preference.ts';
import { promptCompletion } from './prompt-completion.ts';
import { scoredPairs } from './scored-pairs.ts';
import { text } from './text.ts';
import { textTarget } from './text-target.ts';
import { tokenClassification } from './token-classification.ts';
import { unpairedPreference } from './unpaired-preference.ts';

/** All formats of training data. Variants with the same `called` are ordered by increasing number of fields. */
const rows = [
  chat,
  promptCompletion,
  preference,
  unpairedPreference,
  text,
  textTarget,
  classification,
  multiLabelClassification,
  tokenClassification,
  pairs,
  scoredPairs,
];
type Row = (typeof rows)[number];

export type FormatName = Row['name'];

type Flat<T> = { [Key in keyof T]: T[Key] };
type ExampleOf<Format> =
  Format extends DatasetFormat<infer Name, infer Fields>
    ? Flat<{ format: Name; line: number; weight?: number } & Fields>
    : never;

/** One checked line of a training file, with its number from 1. `weight`: its factor in the loss, from 0 to 10; absent: 1. */
export type RawExample = ExampleOf<Row>;

export const formats: readonly DatasetFormat<FormatName>[] = rows;

const byName = new Map(formats.map((format) => [format.name, format]));

export function formatOf(name: FormatName): DatasetFormat<FormatName> {
  return byName.get(name)!;
}
