import { isRecord, show } from '../../schema/check-fields.ts';

export type Line = Readonly<Record<string, unknown>>;

/** A class by its name, or by its number from 0. */
export type Label = string | number;

/** Collective description of the formats with a text and one other field. */
export const TEXT_LINE = '"text" (with a "label" or "labels" to classify, or a "target" to turn it into)';

/** Collective description of the formats with a prompt and one completion. */
export const PROMPT_LINE = '"prompt" and "completion" (with a "label" true or false to judge it)';

/** Returns true if a line compares two completions. */
export const isPreference = ({ chosen, rejected }: Line): boolean =>
  chosen !== undefined || rejected !== undefined;

/** Returns true if a line judges one completion. */
export const isJudged = ({ completion, label }: Line): boolean =>
  completion !== undefined && typeof label === 'boolean';

/** The texts of a field: one, or the contents of a list of messages. */
const textsIn = (value: unknown): unknown[] =>
  Array.isArray(value) ? value.map((each) => (isRecord(each) ? each.content : each)) : [value];
const plain = (text: string) => text.replaceAll(/\s+/g, ' ').trim().toLowerCase();

/** Returns true if the text or the messages in `field` have a line's prompt, which some data sets repeat there, but for case and spaces. */
export function hasPrompt({ prompt, ...line }: Line, field: string): boolean {
  const contents = textsIn(line[field])
    .filter((each) => typeof each === 'string')
    .map(plain);
  return textsIn(prompt).every(
    (each) => typeof each !== 'string' || contents.some((text) => text.includes(plain(each))),
  );
}

/** Why a chat with a prompt beside its messages cannot be read; null if it can. */
export function promptFault(line: Line): string | null {
  if (line.prompt === undefined || hasPrompt(line, 'messages')) return null;
  return 'has a "prompt" that none of its "messages" has; leave one out, or read the messages alone with columns: {"messages": "messages"}';
}

/** Fields of a line that belong to its messages, and are not read beside a text as the prompt. */
export const unreadBesideText = ({ prompt, ...line }: Line): string[] =>
  typeof prompt === 'string'
    ? ['tools', 'parallel_tool_calls'].filter((name) => line[name] !== undefined)
    : [];

/** Why a field is not a text; null if it is. */
export function textFault(line: Line, key: string): string | null {
  if (typeof line[key] !== 'string') return `"${key}" must be a string, got ${show(line[key])}`;
  return line[key] === '' ? `"${key}" is empty` : null;
}

/** Maximum characters of a class name: every answer of a classifier lists all names. */
const longestName = 256;

/** Description of what `isLabel` allows, for messages. */
export const LABEL = `a name of at most ${longestName} characters or a whole number from 0`;

export function isLabel(value: unknown): value is Label {
  if (typeof value === 'string') return value !== '' && value.length <= longestName;
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
