import { Float, namesOf } from '../../schema/exact-json.ts';
import type { TemplateBudget } from '../template-budget.ts';
import { join } from './texts.ts';

/**
 * Python's values as Jinja sees them: None is null, Undefined is undefined, a dict is a plain object, a list or tuple an array, an integer
 * beyond a number's precision a bigint.
 */
export type Value =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Float
  | Namespace
  | Loop
  | Callable
  | readonly Value[]
  | Dict;

export interface Dict {
  readonly [key: string]: Value;
}

/** A function, method or macro. `named`: keyword arguments. */
export type Callable = (args: readonly Value[], named: Dict, budget: TemplateBudget) => Value;

/** An array that Python writes with parentheses. */
export class Tuple extends Array<Value> {}

/** Result of `namespace()`: its attributes can be set. */
export class Namespace {
  readonly values: Map<string, Value>;

  constructor(values: Iterable<readonly [string, Value]>) {
    this.values = new Map(values);
  }
}

export class Loop {
  index0 = 0;
  readonly items: readonly Value[];
  readonly depth: number;

  constructor(items: readonly Value[], depth: number) {
    this.items = items;
    this.depth = depth;
  }

  attribute(name: string): Value {
    const { index0, items, depth } = this;
    switch (name) {
      case 'index0':
        return index0;
      case 'index':
        return index0 + 1;
      case 'first':
        return index0 === 0;
      case 'last':
        return index0 === items.length - 1;
      case 'length':
        return items.length;
      case 'revindex':
        return items.length - index0;
      case 'revindex0':
        return items.length - index0 - 1;
      case 'previtem':
        return index0 === 0 ? undefined : items[index0 - 1];
      case 'nextitem':
        return items[index0 + 1];
      case 'depth':
        return depth;
      case 'depth0':
        return depth - 1;
      case 'cycle':
        return (values) => values[index0 % values.length];
      default:
        return undefined;
    }
  }
}

/** Maximum nesting depth of a value that is written or compared: Python's own limit is about 1,000. */
export const MAX_DEPTH = 256;

export function isDict(value: unknown): value is Dict {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The value of a number or a boolean, which Python counts as a number; null for others. */
export function numberOf(value: Value): number | null {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean' || typeof value === 'bigint') return Number(value);
  return value instanceof Float ? value.value : null;
}

export const isFloat = (value: Value): boolean =>
  value instanceof Float || (typeof value === 'number' && !Number.isInteger(value));

export const float = (value: number): number | Float => (Number.isInteger(value) ? new Float(value) : value);

export function keysOf(dict: Dict, budget: TemplateBudget): readonly string[] {
  const keys = namesOf(dict);
  budget.read(keys.length);
  return keys;
}

export function isTrue(value: Value, budget: TemplateBudget): boolean {
  if (typeof value !== 'object' || value === null) return Boolean(value);
  if (value instanceof Float) return value.value !== 0;
  if (Array.isArray(value)) return value.length > 0;
  if (isDict(value)) return keysOf(value, budget).length > 0;
  return Boolean(value);
}

/** Compares values part by part: those that `{% set x = [x, x] %}` makes have exponentially many. */
export function areEqual(a: Value, b: Value, budget: TemplateBudget, depth = 0): boolean {
  budget.spend(typeof a === 'string' && typeof b === 'string' && a.length === b.length ? a.length : 0);
  if (a === b) return true;
  if (typeof a === 'bigint' && typeof b === 'bigint') return false;
  if (typeof a !== 'object' && typeof b !== 'object' && typeof a === typeof b) return false;
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== null || y !== null) return x === y;
  checkDepth(depth);
  if (Array.isArray(a) && Array.isArray(b)) {
    if (a instanceof Tuple !== b instanceof Tuple || a.length !== b.length) return false;
    return a.every((item, i) => areEqual(item, b[i], budget, depth + 1));
  }
  if (!isDict(a) || !isDict(b)) return false;
  const keys = keysOf(a, budget);
  return (
    keys.length === keysOf(b, budget).length &&
    keys.every((key) => Object.hasOwn(b, key) && areEqual(a[key], b[key], budget, depth + 1))
  );
}

/** Negative, 0 or positive as Python orders two values. Throws for values without an order. */
export function order(a: Value, b: Value, budget: TemplateBudget, depth = 0): number {
  budget.spend();
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== null && y !== null) return x - y;
  if (typeof a === 'string' && typeof b === 'string') {
    budget.spend(Math.min(a.length, b.length));
    return a === b ? 0 : byCodePoint(a, b);
  }
  if (!Array.isArray(a) || !Array.isArray(b))
    throw new Error(`cannot order ${typeName(a)} and ${typeName(b)}`);
  checkDepth(depth);
  for (const [i, item] of a.entries()) {
    if (i >= b.length) return 1;
    if (!areEqual(item, b[i], budget, depth + 1)) return order(item, b[i], budget, depth + 1);
  }
  return a.length - b.length;
}

function checkDepth(depth: number): void {
  if (depth > MAX_DEPTH) throw new Error('a value nests too deep');
}

/** Code points and UTF-16 units have different orders: a surrogate stands for a larger character than U+E000 to U+FFFF. */
function byCodePoint(a: string, b: string): number {
  let i = 0;
  while (i < a.length && i < b.length && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  if (i > 0 && /[\udc00-\udfff]/.test(a[i] ?? b[i] ?? '')) i--;
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}

export function iterate(value: Value, budget: TemplateBudget): readonly Value[] {
  if (Array.isArray(value)) return value;
  if (typeof value === 'string') {
    budget.spend(0, value.length);
    return [...value];
  }
  if (value === undefined) return [];
  if (isDict(value)) return keysOf(value, budget);
  throw new Error(`'${typeName(value)}' object is not iterable`);
}

/** Returns true if a text has characters of two UTF-16 units. */
const hasPairs = (text: string) => /[\ud800-\udbff]/.test(text);

/** Python's `len`. */
export function lengthOf(value: Value, budget: TemplateBudget): number {
  if (value === undefined) return 0;
  if (typeof value === 'string') return characters(value, budget).length;
  if (Array.isArray(value)) return value.length;
  if (isDict(value)) return keysOf(value, budget).length;
  throw new Error(`object of type '${typeName(value)}' has no len()`);
}

/** A text by code point, for lengths, indexes and slices. */
export function characters(value: string, budget: TemplateBudget): string | readonly string[] {
  budget.spend(value.length);
  if (!hasPairs(value)) return value;
  budget.read(value.length);
  return [...value];
}

/** Python's `str`. */
export function text(value: Value, budget: TemplateBudget): string {
  if (typeof value === 'string') return value;
  return value === undefined ? '' : written(value, 0, budget);
}

/** Python's `repr`. */
function written(value: Value, depth: number, budget: TemplateBudget): string {
  budget.spend();
  checkDepth(depth);
  if (value === undefined) return 'Undefined';
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string') return quoted(value, budget);
  if (typeof value === 'number' || typeof value === 'bigint') return jsonNumber(value);
  if (value instanceof Float) return floatText(value.value);
  if (Array.isArray(value)) {
    const items = join(
      value.map((item) => written(item, depth + 1, budget)),
      ', ',
      budget,
    );
    if (!(value instanceof Tuple)) return `[${items}]`;
    return value.length === 1 ? `(${items},)` : `(${items})`;
  }
  if (!isDict(value)) throw new Error(`a ${typeName(value)} has no text`);
  const entries = keysOf(value, budget).map(
    (key) => `${quoted(key, budget)}: ${written(value[key], depth + 1, budget)}`,
  );
  return `{${join(entries, ', ', budget)}}`;
}

const SHORT_ESCAPES: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };

function quoted(value: string, budget: TemplateBudget): string {
  budget.spend(value.length);
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  const escaped = value.replace(/[\\\p{C}\p{Z}]|'/gu, (character) => {
    if (character === ' ') return character;
    if (character === "'") return quote === "'" ? "\\'" : "'";
    const short = SHORT_ESCAPES[character];
    if (short) return short;
    const code = character.codePointAt(0)!;
    const digits = code.toString(16);
    if (code <= 0xff) return `\\x${digits.padStart(2, '0')}`;
    return code <= 0xffff ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`;
  });
  return quote + escaped + quote;
}

/** From here on JavaScript, too, writes an integer with an exponent, which Python reads as a float. */
const LARGE = 1e21;

/** A number as Python writes it. An integral float is a `Float`. */
export function jsonNumber(value: number | bigint): string {
  if (typeof value === 'bigint') return value.toString();
  if (!Number.isInteger(value) || Math.abs(value) >= LARGE) return floatText(value);
  return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString();
}

/** Python's `repr` of a float: exponents from 1e16 up and below 1e-4, in two digits at least. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0.0';
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) {
    const [digits, exponent] = value.toExponential().split('e') as [string, string];
    return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
  }
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

/** Name of the Python type, for errors. */
export function typeName(value: Value): string {
  if (value === undefined) return 'Undefined';
  if (value === null) return 'NoneType';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'str';
  if (numberOf(value) !== null) return isFloat(value) ? 'float' : 'int';
  if (Array.isArray(value)) return value instanceof Tuple ? 'tuple' : 'list';
  if (typeof value === 'function') return 'function';
  if (value instanceof Loop) return 'LoopContext';
  return value instanceof Namespace ? 'Namespace' : 'dict';
}
