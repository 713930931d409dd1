import { itemsOf, methodOf } from './methods.ts';
import { TESTS } from './tests.ts';
import { capitalize, indent, join, replace, strip, title, words } from './texts.ts';
import { type JsonOptions, toJson } from './to-json.ts';
import {
  type Dict,
  Float,
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
type Filter = (value: Value, args: readonly Value[], named: Dict) => Value;

/** Maximum number of levels or columns of an indentation. */
const MAX_INDENT = 256;

/** Applies a filter by its name. Throws for one that neither Jinja nor transformers has. */
export function applyFilter(name: string, value: Value, args: readonly Value[], named: Dict): Value {
  const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
  if (!filter) throw new Error(`no filter named '${name}'`);
  return filter(value, args, named);
}

const FILTERS: Record<string, Filter> = {
  abs: (value) => signed(value, Math.abs),
  attr: (value, [name]) => attributeOf(value, text(name)),
  capitalize: (value) => capitalize(text(value)),
  count: (value) => lengthOf(value),
  d: defaultTo,
  default: defaultTo,
  dictsort,
  e: escapeHtml,
  escape: escapeHtml,
  first: (value) => iterate(value)[0],
  float: (value, [otherwise], named) => {
    const number = parsed(value, /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i);
    return number === null ? (otherwise ?? named.default ?? new Float(0)) : float(number);
  },
  indent(value, [width, first, blank], named) {
    const by = width ?? named.width ?? 4;
    const options = { first: isTrue(first ?? named.first), blank: isTrue(blank ?? named.blank) };
    return indent(text(value), typeof by === 'string' ? by : ' '.repeat(bounded(by)), options);
  },
  int(value, [otherwise], named) {
    const number = parsed(value, /^[+-]?(\d+|\d*\.\d+|\d+\.\d*)(e[+-]?\d+)?$/i);
    return number === null ? (otherwise ?? named.default ?? 0) : Math.trunc(number);
  },
  items(value) {
    if (value === undefined) return [];
    if (isDict(value)) return itemsOf(value);
    throw new Error('can only get item pairs from a mapping');
  },
  join(value, [separator, attribute], named) {
    const items = pick(iterate(value), attribute ?? named.attribute);
    return join(items.map(text), text(separator ?? named.d ?? ''));
  },
  last: (value) => iterate(value).at(-1),
  length: (value) => lengthOf(value),
  list: (value) => [...iterate(value)],
  lower: (value) => text(value).toLowerCase(),
  map,
  max: (value) => extreme(iterate(value), 1),
  min: (value) => extreme(iterate(value), -1),
  reject: (value, args) => select(iterate(value), args, (item) => item, false),
  rejectattr: (value, [name, ...args]) => select(iterate(value), args, (item) => pathOf(item, name), false),
  replace: (value, [old, by, most], named) => {
    const count = most ?? named.count;
    return replace(
      text(value),
      text(old),
      text(by),
      count === undefined || count === null ? -1 : whole(count),
    );
  },
  reverse: (value) =>
    typeof value === 'string' ? [...value].reverse().join('') : [...iterate(value)].reverse(),
  round(value, [digits, method], named) {
    const number = numberOf(value);
    if (number === null) throw new Error(`cannot round a ${typeName(value)}`);
    const scale = 10 ** whole(digits ?? named.precision ?? 0);
    const how = text(method ?? named.method ?? 'common');
    const round = how === 'ceil' ? Math.ceil : how === 'floor' ? Math.floor : halfToEven;
    return float(round(number * scale) / scale);
  },
  safe: (value) => (typeof value === 'string' ? value : text(value)),
  select: (value, args) => select(iterate(value), args, (item) => item, true),
  selectattr: (value, [name, ...args]) => select(iterate(value), args, (item) => pathOf(item, name), true),
  sort(value, [reverse, caseSensitive, attribute], named) {
    const key = keyOf(isTrue(caseSensitive ?? named.case_sensitive));
    const of = attribute ?? named.attribute;
    const keyIn = (item: Value) => key(of === undefined || of === null ? item : pathOf(item, of));
    const sorted = [...iterate(value)].sort((a, b) => order(keyIn(a), keyIn(b)));
    return isTrue(reverse ?? named.reverse) ? stableReverse(sorted, keyIn) : sorted;
  },
  string: (value) => text(value),
  sum: (value, [attribute, start], named) => {
    const numbers = pick(iterate(value), attribute ?? named.attribute).map(numberOf);
    if (numbers.includes(null)) throw new Error('sum of values that are not numbers');
    return (numbers as number[]).reduce((sum, each) => sum + each, numberOf(start ?? named.start ?? 0) ?? 0);
  },
  title: (value) => title(text(value)),
  tojson(value, [ascii, indentation, separators, sortKeys], named) {
    return toJson(
      value,
      jsonOptions([
        ascii ?? named.ensure_ascii,
        indentation ?? named.indent,
        separators ?? named.separators,
        sortKeys ?? named.sort_keys,
      ]),
    );
  },
  trim: (value, [characters], named) => {
    const given = characters ?? named.chars;
    return strip(text(value), 'both', given === undefined || given === null ? null : text(given));
  },
  unique(value, [caseSensitive, attribute], named) {
    const key = keyOf(isTrue(caseSensitive ?? named.case_sensitive));
    const of = attribute ?? named.attribute;
    const seen = new Set<Value>();
    return iterate(value).filter((item) => {
      const own = key(of === undefined || of === null ? item : pathOf(item, of));
      if (typeof own === 'object' && own !== null) throw new Error(`unhashable type: '${typeName(own)}'`);
      const isNew = !seen.has(own);
      seen.add(own);
      return isNew;
    });
  },
  upper: (value) => text(value).toUpperCase(),
  wordcount: (value) => words(text(value)).length,
};

function defaultTo(value: Value, [otherwise, ifFalse]: readonly Value[], named: Dict): Value {
  const isMissing = value === undefined || (isTrue(ifFalse ?? named.boolean) && !isTrue(value));
  return isMissing
    ? otherwise !== undefined
      ? otherwise
      : 'default_value' in named
        ? named.default_value
        : ''
    : value;
}

function dictsort(value: Value, [caseSensitive, by, reverse]: readonly Value[], named: Dict): Value {
  if (!isDict(value)) throw new Error(`cannot sort a ${typeName(value)} as a dict`);
  const key = keyOf(isTrue(caseSensitive ?? named.case_sensitive));
  const at = (by ?? named.by) === 'value' ? 1 : 0;
  const keyIn = (item: Value) => key((item as Tuple)[at]);
  const sorted = itemsOf(value).sort((a, b) => order(keyIn(a), keyIn(b)));
  return isTrue(reverse ?? named.reverse) ? stableReverse(sorted, keyIn) : sorted;
}

/** Python's `sorted(reverse=True)` keeps the order of equal items. */
function stableReverse(sorted: Value[], keyIn: (item: Value) => Value): Value[] {
  return sorted.sort((a, b) => order(keyIn(b), keyIn(a)));
}

function map(value: Value, args: readonly Value[], named: Dict): Value {
  const items = iterate(value);
  if (named.attribute !== undefined)
    return items.map((item) => {
      const found = pathOf(item, named.attribute);
      return found === undefined ? named.default : found;
    });
  const [name, ...rest] = args;
  return items.map((item) => applyFilter(text(name), item, rest, named));
}

function select(
  items: readonly Value[],
  [name, ...args]: readonly Value[],
  keyIn: (item: Value) => Value,
  isKept: boolean,
): Value {
  const test = name === undefined ? isTrue : TESTS[text(name)];
  if (!test) throw new Error(`no test named '${text(name)}'`);
  return items.filter((item) => test(keyIn(item), ...args) === isKept);
}

function pick(items: readonly Value[], attribute: Value): readonly Value[] {
  return attribute === undefined || attribute === null ? items : items.map((item) => pathOf(item, attribute));
}

/** An attribute by its path, such as `function.name`. */
function pathOf(item: Value, path: Value): Value {
  return text(path)
    .split('.')
    .reduce((of: Value, name) => {
      if (Array.isArray(of) && /^\d+$/.test(name)) return of[Number(name)];
      return itemOf(of, name);
    }, item);
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

const keyOf =
  (caseSensitive: boolean) =>
  (value: Value): Value =>
    typeof value === 'string' && !caseSensitive ? value.toLowerCase() : value;

function extreme(items: readonly Value[], sign: 1 | -1): Value {
  const key = keyOf(false);
  return items.reduce(
    (best, item, i) => (i > 0 && sign * order(key(item), key(best)) > 0 ? item : i > 0 ? best : item),
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

function jsonOptions([ascii, indentation, separators, sortKeys]: readonly Value[]): JsonOptions {
  const hasIndent = indentation !== undefined && indentation !== null;
  const indentText =
    typeof indentation === 'string' ? indentation : ' '.repeat(hasIndent ? bounded(indentation) : 0);
  const pair = Array.isArray(separators) ? separators.map(text) : null;
  if (pair && pair.length !== 2) throw new Error('separators must be two texts');
  return {
    ascii: isTrue(ascii),
    indent: hasIndent ? indentText : null,
    separators: pair as [string, string] | null,
    sortKeys: isTrue(sortKeys),
  };
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&#39;',
  '"': '&#34;',
};

function escapeHtml(value: Value): Value {
  return text(value).replace(/[&<>'"]/g, (character) => ENTITIES[character]!);
}
