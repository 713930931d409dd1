import { GraftError } from '../../errors.ts';
import { listed } from './columns.ts';
import { layouts } from './known-columns.ts';

/** Names of columns that mean the same as a field. */
const SYNONYMS: Record<string, string> = {
  body: 'text',
  content: 'text',
  sentence: 'text',
  document: 'text',
  dialog: 'messages',
  dialogue: 'messages',
  chat: 'messages',
  turns: 'conversations',
  category: 'label',
  class: 'label',
  reply: 'completion',
  response: 'completion',
  answer: 'completion',
  answers: 'completion',
  question: 'prompt',
  questions: 'prompt',
  input: 'prompt',
  output: 'completion',
  target_text: 'target',
  ner_tags: 'labels',
  chosen_response: 'chosen',
  accepted: 'chosen',
  rejected_response: 'rejected',
  words: 'tokens',
  positives: 'positive',
  premise: 'sentence1',
  hypothesis: 'sentence2',
  similarity: 'score',
};

/**
 * The error if the rows of a file have no known shape: one for the whole file, with the nearest shape. `columns`: names in the first
 * row; `unit` and `number` say which that is.
 */
export function noShape(columns: readonly string[], where: string): GraftError {
  const nearest = layouts
    .map((layout) => ({ ...layout, score: scoreOf(layout.fields, columns) }))
    .reduce((best, each) => (each.score > best.score ? each : best));
  const { fields, sample } =
    nearest.score > 0 ? nearest : layouts.find(({ fields }) => fields[0] === 'prompt')!;
  const free = columns.filter((name) => !fields.includes(name));
  const mapping = fields.map((field) => {
    const found = columns.includes(field) ? field : (free.find((name) => isLike(name, field)) ?? '…');
    return `${JSON.stringify(field)}: ${JSON.stringify(found)}`;
  });
  return new GraftError(
    'unknown_shape',
    `${where} has ${columns.length === 0 ? 'no columns' : `the columns ${listed(columns)}`}, which is no known shape. The nearest is ${sample}; rename the columns, or map them with columns: {${mapping.join(', ')}}`,
  );
}

/** How much of a layout's fields a row has: names in full count more than similar ones. */
function scoreOf(fields: readonly string[], columns: readonly string[]): number {
  const points = fields.map((field) =>
    columns.includes(field) ? 2 : columns.some((name) => isLike(name, field)) ? 1 : 0,
  );
  return points.reduce<number>((sum, each) => sum + each, 0) / fields.length;
}

function isLike(name: string, field: string): boolean {
  const plain = name.toLowerCase().trim();
  return (
    plain !== '' &&
    (SYNONYMS[plain] === field ||
      plain === field ||
      (distance(plain.slice(0, 40), field) <= 2 && field.length > 4))
  );
}

/** Number of characters to insert, delete or replace. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row.at(-1)!;
}
