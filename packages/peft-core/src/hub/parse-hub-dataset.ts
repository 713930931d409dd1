import { GraftError } from '../errors.ts';

export interface HubDataset {
  /** `organisation/name` */
  name: string;
  /** Branch, tag or commit; `main` by default. */
  revision: string;
  /** Default `train`. */
  split: string;
  /** A configuration of the data set; null: its default. */
  config: string | null;
  /** The only file to use; null: those of the split. */
  file: string | null;
}

const PREFIX = 'hf://datasets/';
const namePattern = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;
/** A revision becomes part of a URL, in which `.` and `..` would lead elsewhere, encoded or not. */
const patterns: Record<string, RegExp> = {
  split: /^[\w.-]{1,100}$/,
  config: /^[^\\/\p{C}]{1,200}$/u,
  revision: /^[A-Za-z0-9][\w.-]{0,99}(?:\/[A-Za-z0-9][\w.-]{0,99}){0,9}$/,
  file: /^(?!\/)[^\\\p{C}]{1,500}$/u,
};

export const isHubDataset = (text: string): boolean => text.startsWith(PREFIX);

/** Parses `hf://datasets/organisation/name?split=train&revision=main&file=data/x.parquet`. Throws GraftError `invalid_data_set`. */
export function parseHubDataset(text: string): HubDataset {
  const rest = isHubDataset(text) ? text.slice(PREFIX.length) : '';
  const mark = rest.indexOf('?');
  const name = mark < 0 ? rest : rest.slice(0, mark);
  const options = new URLSearchParams(mark < 0 ? '' : rest.slice(mark));
  if (!namePattern.test(name) || name.includes('..'))
    throw invalid(`${text} is not of the form hf://datasets/organisation/name?split=train`);
  for (const [key, value] of options) {
    if (!Object.hasOwn(patterns, key))
      throw invalid(`${text}: ${key} is not known; use split, config, revision or file`);
    if (options.getAll(key).length > 1) throw invalid(`${text}: ${key} is given twice`);
    const isPath = key !== 'split' && value.split('/').some((part) => part === '' || /^\.+$/.test(part));
    if (isPath || !patterns[key]!.test(value)) throw invalid(`${text}: ${value} cannot be a ${key}`);
  }
  return {
    name,
    revision: options.get('revision') ?? 'main',
    split: options.get('split') ?? 'train',
    config: options.get('config'),
    file: options.get('file'),
  };
}

function invalid(message: string): GraftError {
  return new GraftError('invalid_data_set', message);
}
