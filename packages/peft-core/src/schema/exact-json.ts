/**
 * JSON as it is written. `JSON.parse` rounds large integers, reads `1.0` as 1, and moves names that are integers to the start of an object,
 * while Python, and so transformers, keeps all three.
 */
import { endOfText } from './json-extent.ts';

/** A float with an integral value; other floats are numbers. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** Integers beyond a number's precision are bigints. */
export type ExactJson =
  | null
  | boolean
  | number
  | bigint
  | string
  | Float
  | readonly ExactJson[]
  | { readonly [name: string]: ExactJson };

/** Fields whose text `parseJson` keeps: lists of tools, and arguments of calls by both names. */
const KEPT = new Set(['tools', 'arguments', 'parameters']);
/** Python's limit on the digits of an integer; longer ones are read as floats. */
const MAX_DIGITS = 4300;

/** Names in the order of the text, of objects for which JavaScript has another. */
const orders = new WeakMap<object, readonly string[]>();
const texts = new WeakMap<object, string>();

/** Marks of a value that `JSON.parse` changes. Texts in quotes may have them, too. */
const MAY_CHANGE = /\d{16}|\d[.eE]|"(?:0|[1-9]\d*)"\s*:/;
const INTEGER_NAME = /^(?:0|[1-9]\d*)$/;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORDS = { t: true, f: false, n: null } as const;

/** The names of an object in the order of its text. */
export const namesOf = (object: object): readonly string[] => orders.get(object) ?? Object.keys(object);

/** An object whose names have this order. */
export function objectOf<T>(entries: readonly (readonly [string, T])[]): Record<string, T> {
  const object = Object.fromEntries(entries);
  const names = new Set(entries.map(([name]) => name));
  if ([...names].some((name) => INTEGER_NAME.test(name))) orders.set(object, [...names]);
  return object;
}

/**
 * The value of `JSON.parse`. Of objects and lists that are the value of one of these fields, or an item of such a list, the text is kept
 * where the value differs from it. `name`: the whole value's. `value`: of `JSON.parse`, if known. Throws SyntaxError.
 */
export function parseJson(text: string, name = '', value: unknown = JSON.parse(text)): unknown {
  const isKept = KEPT.has(name) || [...KEPT].some((each) => text.includes(`"${each}"`));
  return isKept && MAY_CHANGE.test(text) ? new Reader(text, false).value(name) : value;
}

/** The text of an object or a list of `parseJson` if its value differs from it. */
export const exactText = (value: object): string | undefined => texts.get(value);

/** The value of a JSON text as Python reads it. The text must be valid JSON, and must not nest deep. */
export const readExact = (text: string): ExactJson => new Reader(text, true).value('') as ExactJson;

/** The JSON text of a value of `readExact`, without spaces. */
export function writeExact(value: ExactJson): string {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Float) return floatText(value.value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(writeExact).join(',')}]`;
  const object = value as { readonly [name: string]: ExactJson };
  const fields = namesOf(object).map((name) => `${JSON.stringify(name)}:${writeExact(object[name]!)}`);
  return `{${fields.join(',')}}`;
}

function floatText(value: number): string {
  if (Object.is(value, -0)) return '-0.0';
  return Math.abs(value) < 1e16 ? value.toFixed(1) : value.toExponential();
}

/** Reads valid JSON; `isExact`: as Python reads it. */
class Reader {
  readonly #text: string;
  readonly #isExact: boolean;
  #at = 0;
  /** Number of values so far that `JSON.parse` changes. */
  #changed = 0;

  constructor(text: string, isExact: boolean) {
    this.#text = text;
    this.#isExact = isExact;
  }

  /** `name`: of the field that has the value, or the list with it. */
  value(name: string): unknown {
    const first = this.#next();
    if (first === '"') return this.#string();
    if (first !== '{' && first !== '[') return first in WORDS ? this.#word(first as 't') : this.#number();
    const start = this.#at;
    const before = this.#changed;
    const value = first === '{' ? this.#object() : this.#list(name);
    if (KEPT.has(name) && this.#changed > before) texts.set(value, this.#text.slice(start, this.#at));
    return value;
  }

  /** The next character that is no space. */
  #next(): string {
    while (' \t\n\r'.includes(this.#text[this.#at]!)) this.#at++;
    return this.#text[this.#at]!;
  }

  #object(): object {
    const entries: [string, unknown][] = [];
    this.#at++;
    while (this.#next() !== '}') {
      if (this.#text[this.#at] === ',') this.#at++;
      this.#next();
      const name = this.#string();
      this.#next();
      this.#at++;
      entries.push([name, this.value(name)]);
    }
    this.#at++;
    const object = objectOf(entries);
    if (orders.has(object)) this.#changed++;
    return object;
  }

  #list(name: string): unknown[] {
    const items: unknown[] = [];
    this.#at++;
    while (this.#next() !== ']') {
      if (this.#text[this.#at] === ',') this.#at++;
      items.push(this.value(name));
    }
    this.#at++;
    return items;
  }

  #string(): string {
    const start = this.#at;
    this.#at = endOfText(this.#text, start) + 1;
    const quoted = this.#text.slice(start, this.#at);
    return quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
  }

  #word(first: keyof typeof WORDS): boolean | null {
    this.#at += first === 'f' ? 5 : 4;
    return WORDS[first];
  }

  #number(): number | bigint | Float {
    NUMBER.lastIndex = this.#at;
    const [text] = NUMBER.exec(this.#text)!;
    this.#at += text.length;
    const value = Number(text);
    const isFloat = /[.eE]/.test(text);
    // The integer -0 is 0 in Python.
    if (isFloat ? !Number.isInteger(value) : Number.isSafeInteger(value))
      return this.#isExact ? value + 0 : value;
    this.#changed++;
    if (!this.#isExact) return value;
    if (isFloat) return new Float(value);
    return text.length > MAX_DIGITS ? value : BigInt(text);
  }
}
