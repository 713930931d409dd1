import type { OnBadLines } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import { isRecord, show } from '../schema/check-fields.ts';
import { BadLines } from './bad-lines.ts';
import type { Container, RowSink } from './containers/container.ts';
import { type FormatName, formatOf, formats, type RawExample } from './formats/formats.ts';
import { readLine, unstorableText, unsupportedField } from './read-line.ts';
import { judgedChat, plainValues, readCells } from './shapes/cells.ts';
import { type ColumnMapping, checkColumns, listed, mapColumns } from './shapes/columns.ts';
import { shapes } from './shapes/shapes.ts';
import { type UnreadColumn, UnreadColumns } from './unread-columns.ts';

/** If no row until then has a known shape, the file has none, and reading stops. */
const UNKNOWN_ROWS = 100;
/** Longer system prompts are not stored with a file, a job or a version. */
const LONGEST_SYSTEM_PROMPT = 16 * 1024;

export interface DatasetSummary {
  format: FormatName;
  /** Number of examples; empty lines are not counted. */
  examples: number;
  /** Total characters that a language model is trained to generate; 0 for formats of other models. */
  answerCharacters: number;
  /** Lists the bad rows that were skipped; null without any. */
  skipped: GraftError | null;
  /** The first hundred columns that were not read, in the examples that were. */
  unread: UnreadColumn[];
  /** The system message of every example; null if they differ, there is none, or it is longer than 16,384 characters. */
  systemPrompt: string | null;
}

export interface RowListener {
  /** Called first, with the kind of the file. */
  onContainer?(container: Container): void;
  onExample?(example: RawExample): void;
  /** Every bad row, in order, including those beyond the limit of the error's list. */
  onBadLine?(line: number): void;
}

/**
 * Checks the rows of a data file, of whatever kind, and converts them to examples. Keeps the list of bad rows in memory, never the
 * examples.
 */
export class RowChecker implements RowSink {
  readonly #listener: RowListener;
  readonly #columns: ColumnMapping | null;
  readonly #onBadLines: OnBadLines;
  #bad = new BadLines();
  #container: Container | null = null;
  #rows = 0;
  #examples = 0;
  #answerCharacters = 0;
  readonly #unread: UnreadColumns;
  #systemPrompt: string | null = null;
  #format: { name: FormatName; line: number } | null = null;
  /** Rows of no known shape, as long as no other row was read; and the first one's columns. */
  #unknown: { count: number; line: number; columns: readonly string[] } | null = null;
  /** The shape of the first example; null for a format's own. */
  shape: string | null = null;

  constructor(
    listener: RowListener = {},
    columns: ColumnMapping | null = null,
    onBadLines: OnBadLines = 'fail',
  ) {
    this.#listener = listener;
    this.#columns = columns;
    this.#onBadLines = onBadLines;
    this.#unread = new UnreadColumns(columns);
  }

  get unit(): Container['unit'] {
    return this.#container?.unit ?? 'line';
  }

  begin(container: Container): void {
    this.#container = container;
    this.#bad = new BadLines(container.unit);
    this.#listener.onContainer?.(container);
  }

  columns(names: readonly string[]): ReadonlySet<string> {
    if (this.#columns) {
      checkColumns(names, this.#columns);
      return new Set(Object.entries(this.#columns).flat());
    }
    const known = names.filter((name) => knownColumns.has(name));
    if (known.length === 0) throw noShape(names, 'the table');
    return new Set(known);
  }

  unused(column: string, values: number): void {
    if (values > 0) this.#unread.count(column, values);
  }

  row(line: number, value: unknown, checksText: boolean): void {
    const example = this.#read(line, value, checksText);
    if (typeof example === 'string') this.bad(line, example);
    else this.#take(example);
  }

  #take(example: RawExample): void {
    const { line } = example;
    this.#format ??= { name: example.format, line };
    const format = this.#format;
    if (example.format !== format.name) {
      const first = `${this.unit} ${format.line} is a ${format.name} example`;
      this.bad(line, `is a ${example.format} example, but ${first}`);
      return;
    }
    const system = systemPromptOf(example);
    this.#systemPrompt = this.#examples === 0 || system === this.#systemPrompt ? system : null;
    this.#examples++;
    this.#answerCharacters += formatOf(example.format).answerLength?.(example) ?? 0;
    this.#listener.onExample?.(example);
  }

  bad(line: number, fault: string): void {
    this.#bad.add(line, fault);
    this.#listener.onBadLine?.(line);
  }

  /** Throws GraftError `invalid_jsonl` with every bad row, unless they are skipped and others are left, `unknown_shape`, or `empty_file`. */
  end(): DatasetSummary {
    if (this.#examples === 0 && this.#unknown && this.#unknown.count === this.#bad.count)
      throw this.#noShape();
    const skipped = this.#bad.count > 0 ? this.#bad.error('invalid_jsonl') : null;
    if (skipped && (this.#onBadLines === 'fail' || this.#examples === 0)) throw skipped;
    if (this.#format === null) throw new GraftError('empty_file', 'the file holds no examples');
    return {
      format: this.#format.name,
      examples: this.#examples,
      answerCharacters: this.#answerCharacters,
      skipped,
      systemPrompt: this.#systemPrompt,
      unread: this.unread(),
    };
  }

  unread(): UnreadColumn[] {
    return this.#unread.list();
  }

  /** The example of a row, or its fault. */
  #read(line: number, value: unknown, checksText: boolean): RawExample | string {
    this.#rows++;
    if (!isRecord(value)) return `must be a JSON object, got ${show(value)}`;
    let row: Record<string, unknown> | string = value;
    if (this.#columns) row = mapColumns(row, this.#columns) as Record<string, unknown> | string;
    if (typeof row !== 'string' && this.#container?.cells === 'text')
      row = readCells(row) as Record<string, unknown> | string;
    if (typeof row === 'string') return row;
    const given = plainValues(row);
    const hasFormat = formats.some((format) => format.matches(given));
    const shape = shapes.find((each) => !(each.yields && hasFormat) && each.matches(given)) ?? null;
    if (!shape && !hasFormat && !unsupportedField(given)) this.#count(line, given);
    if (this.#examples === 0 && (shape || hasFormat)) this.shape = shape?.name ?? null;
    const converted = shape ? shape.convert(given) : given;
    if (typeof converted === 'string') return converted;
    const chat = judgedChat(given, converted);
    // Rows of every shape may have a weight.
    const weighted = given.weight === undefined ? chat : { ...chat, weight: given.weight };
    const example = readLine(weighted, line);
    if (typeof example === 'string') return example;
    // Only a \u escape can produce characters that valid UTF-8 cannot contain.
    const fault = checksText ? unstorableText(example) : null;
    if (fault) return fault;
    const read = shape ?? formatOf(example.format);
    const judged = chat === converted ? [] : ['messages', given.kto_tag === undefined ? 'label' : 'kto_tag'];
    this.#unread.add(value, given, { columns: read.columns, judged, unread: read.unread?.(given) ?? [] });
    return example;
  }

  /** Counts a row of no known shape. One without columns is no sign of another shape. */
  #count(line: number, row: Record<string, unknown>): void {
    const columns = Object.keys(row);
    if (columns.length === 0) return;
    this.#unknown ??= { count: 0, line, columns };
    this.#unknown.count++;
    if (this.#unknown.count === UNKNOWN_ROWS && this.#rows === UNKNOWN_ROWS) throw this.#noShape();
  }

  #noShape(): GraftError {
    const { line, columns } = this.#unknown!;
    return noShape(columns, `${this.unit} ${line}`);
  }
}

/** Also null for a prompt that Postgres cannot store because it contains U+0000. */
function systemPromptOf(example: RawExample): string | null {
  const prompt = formatOf(example.format).systemPrompt?.(example) ?? '';
  const isKept = prompt !== '' && prompt.length <= LONGEST_SYSTEM_PROMPT && !prompt.includes('\0');
  return isKept ? prompt : null;
}

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

/** Fields of each format and shape, with an example of a row, in the order of their lists. */
const layouts: readonly { fields: readonly string[]; sample: string }[] = [
  ...formats.map(({ sample }) => ({ fields: Object.keys(JSON.parse(sample)), sample })),
  ...shapes.map(({ columns, sample }) => ({
    // Required ones: those of the example.
    fields: columns.filter((name) => name in JSON.parse(sample)),
    sample,
  })),
];

const knownColumns: ReadonlySet<string> = new Set([
  ...[...formats, ...shapes].flatMap(({ columns }) => columns),
  ...['weight', 'kto_tag'],
  // Refused with a reason.
  'functions',
]);
