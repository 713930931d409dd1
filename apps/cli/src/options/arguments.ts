import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { UsageError } from '../errors.ts';

/** Parser for commander: a whole number of at least `least`. */
export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least || text.trim() === '') {
      throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`);
    }
    return value;
  };

const units = { s: 1, m: 60, h: 3600, d: 24 * 3600 } as const;

/** Parser for commander: a duration such as 90s, 30m, 12h or 30d, in seconds. */
export function timeSpan(text: string): number {
  const match = /^(\d{1,9})([smhd])$/.exec(text);
  if (!match) throw new InvalidArgumentError('It must be a duration such as 90s, 30m, 12h or 30d.');
  return Number(match[1]) * units[match[2] as keyof typeof units];
}

/** Parser for commander: a list separated by commas. */
export const words = (text: string): string[] =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');

/** A name with spaces or other characters that a suffix cannot have, as a suffix: they become hyphens. Empty if nothing remains. */
export const suffixFrom = (name: string): string =>
  name
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64);

/** Parser for commander: the name of an adapter, as a suffix. */
export function suffixArgument(name: string): string {
  const suffix = suffixFrom(name.trim());
  if (suffix === '')
    throw new InvalidArgumentError('Nothing of it can be in a name: use letters, digits, ".", "_" and "-".');
  if (suffix !== name) process.stderr.write(`The adapter is named ${suffix}.\n`);
  return suffix;
}

/** Parser for commander: any finite number. */
export function anyNumber(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || text.trim() === '') throw new InvalidArgumentError('It must be a number.');
  return value;
}

/** Parser for commander: a number from `least` to `most`. */
export const numberWithin =
  (least: number, most: number) =>
  (text: string): number => {
    const value = anyNumber(text);
    if (value < least || value > most) throw new InvalidArgumentError(`It must be from ${least} to ${most}.`);
    return value;
  };

/** The text of an option, given inline or as `@path` of a file. */
export function textArgument(option: string, text: string): string {
  if (!text.startsWith('@')) return text;
  try {
    return readFileSync(text.slice(1), 'utf8');
  } catch (error) {
    throw new UsageError(`${option}: cannot read ${text.slice(1)}: ${(error as Error).message}`);
  }
}

/** Parses an option's JSON, given inline or as `@path` of a file. */
export function jsonArgument(option: string, text: string): unknown {
  const json = textArgument(option, text);
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new UsageError(
      `${option} is not valid JSON: ${(error as Error).message}. Quote it for your shell, or use @file.`,
    );
  }
}

export function jsonObjectArgument(option: string, text: string): Record<string, unknown> {
  const value = jsonArgument(option, text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError(`${option} must be a JSON object.`);
  }
  return value as Record<string, unknown>;
}

/** True where a path does not exist or is an empty folder. */
export const isFree = (path: string): boolean =>
  !existsSync(path) || (statSync(path).isDirectory() && readdirSync(path).length === 0);

/** Throws UsageError if `--output` is an empty text, as an unset variable of a shell is: it would mean the current folder. */
export function checkNamed(output: string): void {
  if (output === '') throw new UsageError('--output is empty: name a folder or file.');
}

/** Throws UsageError if the `--output` folder has no name, or is not empty and `overwrite` is not set. */
export function checkFree(output: string, overwrite = false): void {
  checkNamed(output);
  if (!overwrite && !isFree(output))
    throw new UsageError(`${output} is not empty: choose another --output, or add --overwrite.`);
}

/** Adds `key=value` to `pairs`. */
export function addPair(text: string, pairs: Record<string, string> = {}): Record<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new UsageError(`--metadata must be key=value, not ${text}.`);
  return { ...pairs, [text.slice(0, equals)]: text.slice(equals + 1) };
}

/** Parser for commander: an ISO 8601 time, as Unix seconds. */
export function unixTime(text: string): number {
  const time = Date.parse(text);
  if (!/^\d{4}-\d\d/.test(text) || Number.isNaN(time))
    throw new InvalidArgumentError('It must be a time such as 2026-11-01 or 2026-11-01T12:00Z.');
  return Math.floor(time / 1000);
}

export const columnsHelp =
  'which column of the data each field is in: prompt=question,completion=answer, or JSON (default: as recognised)';

/** A mapping of columns: `field=column,…`, or JSON for names with commas. */
export function columnsArgument(text: string): Record<string, string> {
  if (text.trim().startsWith('{')) return jsonObjectArgument('--columns', text) as Record<string, string>;
  const pairs = text.split(',').map((pair) => pair.split('='));
  if (pairs.some((pair) => pair.length !== 2 || pair.some((part) => part.trim() === '')))
    throw new InvalidArgumentError('It must be field=column, separated by commas.');
  return Object.fromEntries(pairs.map(([field, column]) => [field!.trim(), column!.trim()]));
}

/** Removes undefined values, for which the API has defaults. */
export const given = <T extends object>(values: T) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Name in keyof T]?: Exclude<T[Name], undefined>;
  };

/** The text of a file; null where there is no such file. */
export function readIfPresent(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
