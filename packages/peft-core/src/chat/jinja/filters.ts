import { Float } from '../../schema/exact-json.ts';
import type { TemplateBudget } from '../template-budget.ts';
import { itemsOf, methodOf } from './methods.ts';
import { charged, made } from './state.ts';
import { testOf } from './tests.ts';
import { capitalize, indent, join, replace, strip, title, words } from './texts.ts';
import { type JsonOptions, toJson } from './to-json.ts';
import {
  characters,
  type Dict,
  float,
  isDict,
  isFloat,
  isTrue,
  iterate,
  lengthOf,
  Namespace,
  numberOf,
  order,
  type Tuple,
  text,
  typeName,
  type Value,
} from './values.ts';

/** A filter of Jinja. `value`: what it is applied to. */
type Filter = (value: Value, args: readonly Value[], named: Dict, budget: TemplateBudget) => Value;

/** Maximum number of levels or columns of an indentation. */
const MAX_INDENT = 256;

/** Applies a filter by its name. Throws for one that neither Jinja nor transformers has. */
export function applyFilter(
  name: string,
  value: Value,
  args: readonly Value[],
  named: Dict,
  budget: TemplateBudget,
): Value {
  const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
  if (!filter) throw new Error(`no filter named '${name}'`);
  return made(filter(charged(value, budget), args, named, budget), budget);
}

export const FILTERS: Record<string, Filter> = {
  abs: (value) => signed(value, Math.abs),
  attr: (value, [name], _, budget) => attributeOf(value, text(name, budget)),
  capitalize: (value, _, __, budget) => capitalize(text(value, budget)),
  count: (value, _, __, budget) => lengthOf(value, budget),
  d: defaultTo,
  default: defaultTo,
  dictsort,
  e: escapeHtml,
  escape: escapeHtml,
  first: (value, _, __, budget) => end(value, 0, budget),
  float: (value, [otherwise], named) => {
    const number = parsed(value, /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i);
    return number === null ? (otherwise ?? named.default ?? new Float(0)) : float(number);
  },
  indent(value, [width, first, blank], named, budget) {
    const by = width ?? named.width ?? 4;
    const options = {
      first: isTrue(first ?? named.first, budget),
      blank: isTrue(blank ?? named.blank, budget),
    };
    return indent(
      text(value, budget),
      typeof by === 'string' ? by : ' '.repeat(bounded(by)),
      options,
      budget,
    );
  },
  int(value, [otherwise], named) {
    if (typeof value === 'bigint') return value;
    const number = parsed(value, /^[+-]?(\d+|\d*\.\d+|\d+\.\d*)(e[+-]?\d+)?$/i);
    return number === null ? (otherwise ?? named.default ?? 0) : Math.trunc(number);
  },
  items(value, _, __, budget) {
    if (value === undefined) return [];
    if (isDict(value)) return itemsOf(value, budget);
    throw new Error('can only get item pairs from a mapping');
  },
  join(value, [separator, attribute], named, budget) {
    const items = pick(iterate(value, budget), attribute ?? named.attribute, budget);
    return join(
      items.map((item) => text(item, budget)),
      text(separator ?? named.d ?? '', budget),
      budget,
    );
  },
  last: (value, _, __, budget) => end(value, -1, budget),
  length: (value, _, __, budget) => lengthOf(value, budget),
  list: (value, _, __, budget) => [...iterate(value, budget)],
  lower: (value, _, __, budget) => text(value, budget).toLowerCase(),
  map,
  max: (value, _, __, budget) => extreme(iterate(value, budget), 1, budget),
  min: (value, _, __, budget) => extreme(iterate(value, budget), -1, budget),
  reject: (value, args, _, budget) => select(value, args, undefined, false, budget),
  rejectattr: (value, [name, ...args], _, budget) => select(value, args, name ?? null, false, budget),
  replace: (value, [old, by, most], named, budget) => {
    const count = most ?? named.count;
    return replace(
      text(value, budget),
      text(old, budget),
      text(by, budget),
      count === undefined || count === null ? -1 : whole(count),
      budget,
    );
  },
  reverse: (value, _, __, budget) =>
    typeof value === 'string' ? [...value].reverse().join('') : [...iterate(value, budget)].reverse(),
  round(value, [digits, method], named, budget) {
    const number = numberOf(value);
    if (number === null) throw new Error(`cannot round a ${typeName(value)}`);
    const scale = 10 ** whole(digits ?? named.precision ?? 0);
    const how = text(method ?? named.method ?? 'common', budget);
    const round = how === 'ceil' ? Math.ceil : how === 'floor' ? Math.floor : halfToEven;
    return float(round(number * scale) / scale);
  },
  safe: (value, _, __, budget) => text(value, budget),
  select: (value, args, _, budget) => select(value, args, undefined, true, budget),
  selectattr: (value, [name, ...args], _, budget) => select(value, args, name ?? null, true, budget),
  sort(value, [reverse, caseSensitive, attribute], named, budget) {
    const keyIn = keyOf(attribute ?? named.attribute, caseSensitive ?? named.case_sensitive, budget);
    return sorted([...iterate(value, budget)], keyIn, reverse ?? named.reverse, budget);
  },
  string: (value, _, __, budget) => text(value, budget),
  sum: (value, [attribute, start], named, budget) => {
    const numbers = pick(iterate(value, budget), attribute ?? named.attribute, budget).map(numberOf);
    if (numbers.includes(null)) throw new Error('sum of values that are not numbers');
    return (numbers as number[]).reduce((sum, each) => sum + each, numberOf(start ?? named.start ?? 0) ?? 0);
  },
  title: (value, _, __, budget) => title(text(value, budget)),
  tojson(value, [ascii, indentation, separators, sortKeys], named, budget) {
    return toJson(
      value,
      budget,
      jsonOptions(
        [
          ascii ?? named.ensure_ascii,
          indentation ?? named.indent,
          separators ?? named.separators,
          sortKeys ?? named.sort_keys,
        ],
        budget,
      ),
    );
  },
  trim: (value, [characters], named, budget) => {
    const given = characters ?? named.chars;
    return strip(
      text(value, budget),
      'both',
      given === undefined || given === null ? null : text(given, budget),
    );
  },
  unique(value, [caseSensitive, attribute], named, budget) {
    const keyIn = keyOf(attribute ?? named.attribute, caseSensitive ?? named.case_sensitive, budget);
    const seen = new Set<Value>();
    return iterate(value, budget).filter((item) => {
      const own = charged(keyIn(item), budget);
      if (typeof own === 'object' && own !== null) throw new Error(`unhashable type: '${typeName(own)}'`);
      const isNew = !seen.has(own);
      seen.add(own);
      return isNew;
    });
  },
  upper: (value, _, __, budget) => text(value, budget).toUpperCase(),
  wordcount: (value, _, __, budget) => words(text(value, budget)).length,
};

/** The first item of a value (`at` 0), or the last (−1). */
function end(value: Value, at: 0 | -1, budget: TemplateBudget): Value {
  if (typeof value !== 'string') return iterate(value, budget).at(at);
  return value === '' ? undefined : characters(value, budget).at(at);
}

function defaultTo(
  value: Value,
  [otherwise, ifFalse]: readonly Value[],
  named: Dict,
  budget: TemplateBudget,
): Value {
  const isMissing =
    value === undefined || (isTrue(ifFalse ?? named.boolean, budget) && !isTrue(value, budget));
  return isMissing
    ? otherwise !== undefined
      ? otherwise
      : 'default_value' in named
        ? named.default_value
        : ''
    : value;
}

function dictsort(
  value: Value,
  [caseSensitive, by, reverse]: readonly Value[],
  named: Dict,
  budget: TemplateBudget,
): Value {
  if (!isDict(value)) throw new Error(`cannot sort a ${typeName(value)} as a dict`);
  const key = keyOf(null, caseSensitive ?? named.case_sensitive, budget);
  const at = (by ?? named.by) === 'value' ? 1 : 0;
  const keyIn = (item: Value) => key((item as Tuple)[at]);
  return sorted(itemsOf(value, budget), keyIn, reverse ?? named.reverse, budget);
}

/** Sorts the items. Python's `sorted(reverse=True)`, too, keeps the order of equal ones. */
function sorted(
  items: Value[],
  keyIn: (item: Value) => Value,
  reverse: Value,
  budget: TemplateBudget,
): Value[] {
  const sign = isTrue(reverse, budget) ? -1 : 1;
  return items.sort((a, b) => sign * order(keyIn(a), keyIn(b), budget));
}

function map(value: Value, args: readonly Value[], named: Dict, budget: TemplateBudget): Value {
  const items = iterate(value, budget);
  if (named.attribute !== undefined) {
    const attribute = pathTo(named.attribute, budget);
    return items.map((item) => {
      const found = attribute(item);
      return found === undefined ? named.default : found;
    });
  }
  const [name, ...rest] = args;
  const filter = text(name, budget);
  return items.map((item) => applyFilter(filter, item, rest, named, budget));
}

/** The items that pass the test `name`, or fail it; `attribute` undefined: the test is of the items themselves. */
function select(
  value: Value,
  [name, other]: readonly Value[],
  attribute: Value,
  isKept: boolean,
  budget: TemplateBudget,
): Value {
  const test = name === undefined ? (item: Value) => isTrue(item, budget) : testOf(text(name, budget));
  const keyIn = attribute === undefined ? (item: Value) => item : pathTo(attribute, budget);
  return iterate(value, budget).filter(
    (item) => test(charged(keyIn(item), budget), other, budget) === isKept,
  );
}

function pick(items: readonly Value[], attribute: Value, budget: TemplateBudget): readonly Value[] {
  return attribute === undefined || attribute === null ? items : items.map(pathTo(attribute, budget));
}

/** A function that finds an attribute by its path, such as `function.name`. */
function pathTo(path: Value, budget: TemplateBudget): (item: Value) => Value {
  const names = text(path, budget).split('.');
  return (item) => {
    budget.spend(0, names.length);
    return names.reduce((of: Value, name) => {
      if (Array.isArray(of) && /^\d+$/.test(name)) return of[Number(name)];
      return itemOf(of, name);
    }, item);
  };
}

function itemOf(of: Value, name: string): Value {
  if (of === undefined) throw new Error(`undefined has no attribute '${name}'`);
  if (of instanceof Namespace) return of.values.get(name);
  if (isDict(of) && Object.hasOwn(of, name)) return of[name];
  return methodOf(of, name);
}

function attributeOf(of: Value, name: string): Value {
  return of instanceof Namespace ? of.values.get(name) : methodOf(of, name);
}

/** The key by which items are ordered: the attribute, or the item itself, in lower case unless case matters. */
function keyOf(attribute: Value, caseSensitive: Value, budget: TemplateBudget): (item: Value) => Value {
  const isSensitive = isTrue(caseSensitive, budget);
  const find = attribute === undefined || attribute === null ? null : pathTo(attribute, budget);
  return (item) => {
    const value = find ? find(item) : item;
    if (typeof value !== 'string' || isSensitive) return value;
    budget.spend(value.length);
    return value.toLowerCase();
  };
}

function extreme(items: readonly Value[], sign: 1 | -1, budget: TemplateBudget): Value {
  const key = keyOf(null, false, budget);
  return items.reduce(
    (best, item, i) => (i > 0 && sign * order(key(item), key(best), budget) > 0 ? item : i > 0 ? best : item),
    undefined,
  );
}

function signed(value: Value, of: (number: number) => number): Value {
  const number = numberOf(value);
  if (number === null) throw new Error(`expected a number, got ${typeName(value)}`);
  return isFloat(value) ? float(of(number)) : of(number);
}

/** The number that a value or its text is; null for others. */
function parsed(value: Value, pattern: RegExp): number | null {
  const number = numberOf(value);
  if (number !== null) return number;
  if (typeof value !== 'string') return null;
  const trimmed = strip(value);
  return pattern.test(trimmed) ? Number(trimmed) : null;
}

function halfToEven(value: number): number {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

function whole(value: Value): number {
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  throw new Error(`expected an int, got ${typeName(value)}`);
}

function bounded(value: Value): number {
  const width = whole(value);
  if (width > MAX_INDENT) throw new Error(`an indentation has at most ${MAX_INDENT} columns`);
  return Math.max(0, width);
}

function jsonOptions(
  [ascii, indentation, separators, sortKeys]: readonly Value[],
  budget: TemplateBudget,
): JsonOptions {
  const hasIndent = indentation !== undefined && indentation !== null;
  const indentText =
    typeof indentation === 'string' ? indentation : ' '.repeat(hasIndent ? bounded(indentation) : 0);
  const pair = Array.isArray(separators) ? separators.map((each) => text(each, budget)) : null;
  if (pair && pair.length !== 2) throw new Error('separators must be two texts');
  return {
    ascii: isTrue(ascii, budget),
    indent: hasIndent ? indentText : null,
    separators: pair as [string, string] | null,
    sortKeys: isTrue(sortKeys, budget),
  };
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&#39;',
  '"': '&#34;',
};

function escapeHtml(value: Value, _: readonly Value[], __: Dict, budget: TemplateBudget): Value {
  return text(value, budget).replace(/[&<>'"]/g, (character) => ENTITIES[character]!);
}
