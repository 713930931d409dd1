import { GraftError } from '../errors.ts';
import type { GgufCursor } from './cursor.ts';

/** 64-bit integers are bigint only if a double cannot represent them. */
export type GgufValue = number | bigint | boolean | string | GgufValue[];

/** Type ids of metadata values (gguf.md, `enum gguf_metadata_value_type`). */
const STRING = 8;
const ARRAY = 9;

const scalars: Record<number, { bytes: number; read: (cursor: GgufCursor) => GgufValue }> = {
  0: { bytes: 1, read: (c) => c.u8() },
  1: { bytes: 1, read: (c) => c.i8() },
  2: { bytes: 2, read: (c) => c.u16() },
  3: { bytes: 2, read: (c) => c.i16() },
  4: { bytes: 4, read: (c) => c.u32() },
  5: { bytes: 4, read: (c) => c.i32() },
  6: { bytes: 4, read: (c) => c.f32() },
  7: { bytes: 1, read: (c) => c.u8() !== 0 },
  10: { bytes: 8, read: (c) => c.u64() },
  11: { bytes: 8, read: (c) => c.i64() },
  12: { bytes: 8, read: (c) => c.f64() },
};

export const limits = {
  /** Bytes of a key; the format's own limit. */
  key: 65_535,
  /** Bytes of a string: the largest in practice are chat templates and entries of token lists, far below a megabyte. */
  string: 4 << 20,
  /**
   * Elements of all arrays of a file together: the largest vocabularies have about 260,000 tokens, with a score and a type
   * each, and 510,000 merges.
   */
  elements: 4_000_000,
  /** Key-value pairs: files in practice have a few hundred. */
  pairs: 10_000,
  /** Tensors: the largest models have a few thousand. */
  tensors: 50_000,
  /** Nesting depth of arrays: no file in practice nests arrays. */
  depth: 3,
} as const;

/** Reads one string; `limit` is its maximum number of bytes. */
export async function readString(cursor: GgufCursor, limit: number, what: string): Promise<string> {
  await cursor.need(8, what);
  const length = cursor.u64();
  if (typeof length !== 'number' || length > limit) {
    throw cursor.fail(`${what} is a string of ${length} bytes; at most ${limit} are allowed`);
  }
  if (!cursor.available(length)) await cursor.need(length, what);
  return cursor.text(length);
}

/** Reads one typed value. `budget` counts the array elements of the whole file. */
export async function readValue(
  cursor: GgufCursor,
  key: string,
  budget: { elements: number },
): Promise<GgufValue> {
  await cursor.need(4, `the type of "${key}"`);
  return readTyped(cursor, cursor.u32(), key, budget, 0);
}

async function readTyped(
  cursor: GgufCursor,
  type: number,
  key: string,
  budget: { elements: number },
  depth: number,
): Promise<GgufValue> {
  const what = `the value of "${key}"`;
  if (type === STRING) return readString(cursor, limits.string, what);
  if (type === ARRAY) return readArray(cursor, key, budget, depth);
  const scalar = scalars[type];
  if (!scalar) throw cursor.fail(`"${key}" has the unknown type ${type}`);
  await cursor.need(scalar.bytes, what);
  return scalar.read(cursor);
}

async function readArray(
  cursor: GgufCursor,
  key: string,
  budget: { elements: number },
  depth: number,
): Promise<GgufValue[]> {
  if (depth >= limits.depth) throw cursor.fail(`"${key}" nests arrays more than ${limits.depth} deep`);
  await cursor.need(12, `the array "${key}"`);
  const type = cursor.u32();
  const count = cursor.u64();
  const scalar = scalars[type];
  if (!scalar && type !== STRING && type !== ARRAY)
    throw cursor.fail(`"${key}" has elements of the unknown type ${type}`);
  // The minimum bytes of an element: a string's length word, an array's type and count.
  const least = scalar?.bytes ?? (type === STRING ? 8 : 12);
  if (typeof count !== 'number' || count * least > cursor.remaining) {
    throw cursor.fail(`"${key}" claims ${count} elements, but only ${cursor.remaining} bytes follow`);
  }
  budget.elements -= count;
  if (budget.elements < 0) throw cursor.fail(`its arrays have more than ${limits.elements} elements`);
  const values: GgufValue[] = [];
  for (let i = 0; i < count; i++) {
    if (scalar) {
      if (!cursor.available(scalar.bytes)) await cursor.need(scalar.bytes, `the array "${key}"`);
      values.push(scalar.read(cursor));
    } else if (type === STRING && cursor.available(8 + 1024)) {
      values.push(shortString(cursor) ?? (await readString(cursor, limits.string, `an element of "${key}"`)));
    } else {
      values.push(await readTyped(cursor, type, key, budget, depth + 1));
    }
  }
  return values;
}

/** Reads a string of at most 1 KiB from the cursor's window without an await; returns null and reads nothing if it is longer. */
function shortString(cursor: GgufCursor): string | null {
  const start = cursor.position;
  const length = cursor.u64();
  if (typeof length === 'number' && length <= 1024) return cursor.text(length);
  cursor.position = start;
  return null;
}

/** Typed access to a file's metadata; a value of another type throws `invalid_gguf`, which names the key. */
export class GgufMetadata {
  readonly #path: string;
  readonly #values: ReadonlyMap<string, GgufValue>;

  constructor(path: string, values: ReadonlyMap<string, GgufValue>) {
    this.#path = path;
    this.#values = values;
  }

  keys(): string[] {
    return [...this.#values.keys()];
  }

  value(key: string): GgufValue | undefined {
    return this.#values.get(key);
  }

  string(key: string): string | undefined {
    return this.#typed(key, 'a string', (v) => typeof v === 'string');
  }

  boolean(key: string): boolean | undefined {
    return this.#typed(key, 'a boolean', (v) => typeof v === 'boolean');
  }

  number(key: string): number | undefined {
    return this.#typed(key, 'a number', (v) => typeof v === 'number' && Number.isFinite(v));
  }

  /** An integer ≥ 0. */
  count(key: string): number | undefined {
    return this.#typed(key, 'a whole number', (v) => Number.isSafeInteger(v) && (v as number) >= 0);
  }

  strings(key: string): string[] | undefined {
    return this.#typed(
      key,
      'an array of strings',
      (v) => Array.isArray(v) && v.every((x) => typeof x === 'string'),
    );
  }

  numbers(key: string): number[] | undefined {
    return this.#typed(
      key,
      'an array of numbers',
      (v) => Array.isArray(v) && v.every((x) => typeof x === 'number'),
    );
  }

  /** Integers ≥ 0, of a list or alone. */
  counts(key: string): number[] | undefined {
    const isCount = (v: GgufValue) => Number.isSafeInteger(v) && (v as number) >= 0;
    if (!Array.isArray(this.#values.get(key))) {
      const one = this.count(key);
      return one === undefined ? undefined : [one];
    }
    return this.#typed(key, 'an array of whole numbers', (v) => Array.isArray(v) && v.every(isCount));
  }

  booleans(key: string): boolean[] | undefined {
    return this.#typed(
      key,
      'an array of booleans',
      (v) => Array.isArray(v) && v.every((x) => typeof x === 'boolean'),
    );
  }

  /** Returns `value`; throws an error that names the key if it is undefined. */
  required<T>(key: string, value: T | undefined): T {
    if (value === undefined) throw this.#fail(`has no "${key}"`);
    return value;
  }

  #typed<T extends GgufValue>(key: string, kind: string, fits: (value: GgufValue) => boolean): T | undefined {
    const value = this.#values.get(key);
    if (value !== undefined && !fits(value)) throw this.#fail(`"${key}" is not ${kind}`);
    return value as T | undefined;
  }

  #fail(what: string): GraftError {
    return new GraftError('invalid_gguf', `${this.#path}: ${what}`);
  }
}
