import { show } from '../../schema/check-fields.ts';

/** The JSON object of a line. */
export type Line = Readonly<Record<string, unknown>>;

/** A class by its name, or by its number from 0. */
export type Label = string | number;

/** Collective description of the formats with a text and one other field. */
export const TEXT_LINE = '"text" (with a "label" or "labels" to classify, or a "target" to turn it into)';

/** Collective description of the formats with a prompt and one completion. */
export const PROMPT_LINE = '"prompt" and "completion" (with a "label" true or false to judge it)';

/** Whether a line compares two completions. */
export const isPreference = ({ chosen, rejected }: Line): boolean =>
  chosen !== undefined || rejected !== undefined;

/** Whether a line judges one completion. */
export const isJudged = ({ completion, label }: Line): boolean =>
  completion !== undefined && typeof label === 'boolean';

/** Why a field is not a text; null if it is. */
export function textFault(line: Line, key: string): string | null {
  if (typeof line[key] !== 'string') return `"${key}" must be a string, got ${show(line[key])}`;
  return line[key] === '' ? `"${key}" is empty` : null;
}

/** Maximum characters of a class name: every answer of a classifier lists all names. */
const longestName = 256;

/** What `isLabel` allows, for messages. */
export const LABEL = `a name of at most ${longestName} characters or a whole number from 0`;

export function isLabel(value: unknown): value is Label {
  if (typeof value === 'string') return value !== '' && value.length <= longestName;
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}
