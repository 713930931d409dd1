import type { TemplateBudget } from '../template-budget.ts';
import { capitalize, join, lines, pieces, replace, strip, titleOfWords, words } from './texts.ts';
import {
  areEqual,
  type Callable,
  type Dict,
  isDict,
  iterate,
  keysOf,
  lengthOf,
  Tuple,
  text,
  typeName,
  type Value,
} from './values.ts';

type Method<T> = (of: T, args: readonly Value[], named: Dict, budget: TemplateBudget) => Value;

/** The method of a value, bound to it; undefined if Python's type has no method of this name. */
export function methodOf(value: Value, name: string): Callable | undefined {
  const method = found(value, name);
  return method && ((args, named, budget) => method(value, args, named, budget));
}

function found(value: Value, name: string): Method<Value> | undefined {
  const { str, list, dict } = METHODS;
  const table =
    typeof value === 'string' ? str : Array.isArray(value) ? list : isDict(value) ? dict : undefined;
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

function isAnyAt(texts: Value, matches: (part: string) => boolean, budget: TemplateBudget): boolean {
  return (texts instanceof Tuple ? texts : [texts]).some((each) => {
    const part = textArgument(each);
    budget.spend(part.length);
    return matches(part);
  });
}

const isAll =
  (pattern: RegExp): Method<string> =>
  (of) =>
    pattern.test(of);

function split(fromRight: boolean): Method<string> {
  return (of, [first, second], named, budget) => {
    const separator = textOrNull(first ?? named.sep);
    const most = wholeArgument(second ?? named.maxsplit, -1);
    if (separator !== null) return pieces(of, separator, most, budget, fromRight);
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

/** UTF-16 index of the first place of a part, or −1. */
function first(of: string, value: Value, budget: TemplateBudget): number {
  const part = textArgument(value);
  budget.search(of, part);
  return of.indexOf(part);
}

function last(of: string, value: Value, budget: TemplateBudget): number {
  const part = textArgument(value);
  budget.search(of, part);
  return of.lastIndexOf(part);
}

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
  startswith: (of, [prefix], _, budget) => isAnyAt(prefix, (part) => of.startsWith(part), budget),
  endswith: (of, [suffix], _, budget) => isAnyAt(suffix, (part) => of.endsWith(part), budget),
  removeprefix: (of, [prefix]) =>
    of.startsWith(textArgument(prefix)) ? of.slice(textArgument(prefix).length) : of,
  removesuffix: (of, [suffix]) =>
    textArgument(suffix) !== '' && of.endsWith(textArgument(suffix))
      ? of.slice(0, -textArgument(suffix).length)
      : of,
  replace: (of, [old, by, most], named, budget) =>
    replace(of, textArgument(old), textArgument(by), wholeArgument(most ?? named.count, -1), budget),
  find: (of, [part], _, budget) => place(of, first(of, part, budget), budget),
  rfind: (of, [part], _, budget) => place(of, last(of, part, budget), budget),
  index(of, [part], _, budget) {
    const at = first(of, part, budget);
    throwIf(at === -1, 'substring not found');
    return place(of, at, budget);
  },
  count: (of, [part], _, budget) =>
    part === '' ? lengthOf(of, budget) + 1 : pieces(of, textArgument(part), -1, budget).length - 1,
  join: (of, [items], _, budget) => join(listOf(items, budget).map(textArgument), of, budget),
  partition(of, [separator], _, budget) {
    const at = first(of, separator, budget);
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
const place = (of: string, at: number, budget: TemplateBudget): number =>
  at < 0 ? at : lengthOf(of.slice(0, at), budget);

function listOf(value: Value, budget: TemplateBudget): readonly Value[] {
  if (Array.isArray(value) || typeof value === 'string') return iterate(value, budget);
  throw new Error(`'${typeName(value)}' object is not iterable`);
}

/** Refuses a method that changes its value, as transformers' sandbox does. */
function refuse(name: string): never {
  throw new Error(`the sandbox does not allow the method ${name}`);
}

const LIST: Record<string, Method<readonly Value[]>> = {
  index(of, [item], _, budget) {
    const at = of.findIndex((each) => areEqual(each, item, budget));
    if (at === -1) throw new Error(`${text(item, budget)} is not in the list`);
    return at;
  },
  count: (of, [item], _, budget) => of.filter((each) => areEqual(each, item, budget)).length,
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

export const itemsOf = (of: Dict, budget: TemplateBudget): Value[] =>
  keysOf(of, budget).map((key) => Tuple.from<Value>([key, of[key]]));

const DICT: Record<string, Method<Dict>> = {
  get: (of, [key, otherwise = null]) =>
    typeof key === 'string' && Object.hasOwn(of, key) ? of[key] : otherwise,
  items: (of, _, __, budget) => itemsOf(of, budget),
  keys: (of, _, __, budget) => keysOf(of, budget),
  values: (of, _, __, budget) => keysOf(of, budget).map((key) => of[key]),
  copy: (of) => of,
  update: () => refuse('update'),
  pop: () => refuse('pop'),
  popitem: () => refuse('popitem'),
  setdefault: () => refuse('setdefault'),
  clear: () => refuse('clear'),
};

export const METHODS = { str: STRING, list: LIST, dict: DICT };
