import { capitalize, join, lines, pieces, replace, strip, titleOfWords, words } from './texts.ts';
import {
  areEqual,
  type Callable,
  type Dict,
  isDict,
  lengthOf,
  Tuple,
  text,
  typeName,
  type Value,
} from './values.ts';

type Method<T> = (of: T, args: readonly Value[], named: Dict) => Value;

/** The method of a value, bound to it; undefined if Python's type has no method of this name. */
export function methodOf(value: Value, name: string): Callable | undefined {
  const method = found(value, name);
  return method && ((args, named) => method(value, args, named));
}

function found(value: Value, name: string): Method<Value> | undefined {
  const table =
    typeof value === 'string' ? STRING : Array.isArray(value) ? LIST : isDict(value) ? DICT : undefined;
  return table && Object.hasOwn(table, name) ? (table[name] as Method<Value>) : undefined;
}

function textArgument(value: Value): string {
  if (typeof value === 'string') return value;
  throw new Error(`expected a str, got ${typeName(value)}`);
}

/** An optional argument that is a text or None. */
const textOrNull = (value: Value): string | null =>
  value === undefined || value === null ? null : textArgument(value);

function wholeArgument(value: Value, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  throw new Error(`expected an int, got ${typeName(value)}`);
}

function isAnyAt(texts: Value, matches: (part: string) => boolean): boolean {
  if (!(texts instanceof Tuple)) return matches(textArgument(texts));
  return texts.some((part) => matches(textArgument(part)));
}

const isAll =
  (pattern: RegExp): Method<string> =>
  (of) =>
    pattern.test(of);

function split(fromRight: boolean): Method<string> {
  return (of, [first, second], named) => {
    const separator = textOrNull(first ?? named.sep);
    const most = wholeArgument(second ?? named.maxsplit, -1);
    if (separator !== null) return pieces(of, separator, most, fromRight);
    if (!fromRight || most < 0) return words(of, most < 0 ? undefined : most);
    const all = words(of);
    throwIf(all.length > most + 1, 'rsplit at white space with a limit is not supported');
    return all;
  };
}

function throwIf(condition: boolean, message: string): void {
  if (condition) throw new Error(message);
}

const sides = { strip: 'both', lstrip: 'left', rstrip: 'right' } as const;
const stripMethod =
  (side: 'both' | 'left' | 'right'): Method<string> =>
  (of, [characters]) =>
    strip(of, side, textOrNull(characters));

const STRING: Record<string, Method<string>> = {
  upper: (of) => of.toUpperCase(),
  lower: (of) => of.toLowerCase(),
  casefold: (of) => of.toLowerCase(),
  capitalize: (of) => capitalize(of),
  title: (of) => titleOfWords(of),
  strip: stripMethod(sides.strip),
  lstrip: stripMethod(sides.lstrip),
  rstrip: stripMethod(sides.rstrip),
  split: split(false),
  rsplit: split(true),
  splitlines: (of) => lines(of),
  startswith: (of, [prefix]) => isAnyAt(prefix, (part) => of.startsWith(part)),
  endswith: (of, [suffix]) => isAnyAt(suffix, (part) => of.endsWith(part)),
  removeprefix: (of, [prefix]) =>
    of.startsWith(textArgument(prefix)) ? of.slice(textArgument(prefix).length) : of,
  removesuffix: (of, [suffix]) =>
    textArgument(suffix) !== '' && of.endsWith(textArgument(suffix))
      ? of.slice(0, -textArgument(suffix).length)
      : of,
  replace: (of, [old, by, most], named) =>
    replace(of, textArgument(old), textArgument(by), wholeArgument(most ?? named.count, -1)),
  find: (of, [part]) => place(of, of.indexOf(textArgument(part))),
  rfind: (of, [part]) => place(of, of.lastIndexOf(textArgument(part))),
  index(of, [part]) {
    const at = of.indexOf(textArgument(part));
    throwIf(at === -1, 'substring not found');
    return place(of, at);
  },
  count: (of, [part]) => (part === '' ? lengthOf(of) + 1 : of.split(textArgument(part)).length - 1),
  join: (of, [items]) => join(listOf(items).map(textArgument), of),
  partition(of, [separator]) {
    const at = of.indexOf(textArgument(separator));
    if (at === -1) return Tuple.from([of, '', '']);
    return Tuple.from([of.slice(0, at), separator, of.slice(at + textArgument(separator).length)]);
  },
  isdigit: isAll(/^\p{Nd}+$/u),
  isdecimal: isAll(/^\p{Nd}+$/u),
  isalpha: isAll(/^\p{L}+$/u),
  isalnum: isAll(/^[\p{L}\p{N}]+$/u),
  isspace: (of) => of !== '' && strip(of) === '',
  isupper: (of) => of === of.toUpperCase() && of !== of.toLowerCase(),
  islower: (of) => of === of.toLowerCase() && of !== of.toUpperCase(),
  format: () => refuse('format'),
};

/** An index in code points. */
const place = (of: string, at: number): number => (at < 0 ? at : lengthOf(of.slice(0, at)));

function listOf(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value;
  if (typeof value === 'string') return [...value];
  throw new Error(`'${typeName(value)}' object is not iterable`);
}

/** Of methods that change their value, which transformers' sandbox refuses. */
function refuse(name: string): never {
  throw new Error(`the sandbox does not allow the method ${name}`);
}

const LIST: Record<string, Method<readonly Value[]>> = {
  index(of, [item]) {
    const at = of.findIndex((each) => areEqual(each, item));
    throwIf(at === -1, `${text(item)} is not in the list`);
    return at;
  },
  count: (of, [item]) => of.filter((each) => areEqual(each, item)).length,
  copy: (of) => [...of],
  append: () => refuse('append'),
  extend: () => refuse('extend'),
  insert: () => refuse('insert'),
  pop: () => refuse('pop'),
  remove: () => refuse('remove'),
  reverse: () => refuse('reverse'),
  sort: () => refuse('sort'),
  clear: () => refuse('clear'),
};

export const itemsOf = (of: Dict): Value[] => Object.entries(of).map((entry) => Tuple.from<Value>(entry));

const DICT: Record<string, Method<Dict>> = {
  get: (of, [key, otherwise = null]) =>
    typeof key === 'string' && Object.hasOwn(of, key) ? of[key] : otherwise,
  items: (of) => itemsOf(of),
  keys: (of) => Object.keys(of),
  values: (of) => Object.values(of),
  copy: (of) => of,
  update: () => refuse('update'),
  pop: () => refuse('pop'),
  popitem: () => refuse('popitem'),
  setdefault: () => refuse('setdefault'),
  clear: () => refuse('clear'),
};
