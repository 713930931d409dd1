import { Float, floatText, isDict, jsonNumber, typeName, type Value } from './values.ts';

/** Options of Python's `json.dumps`. */
export interface JsonOptions {
  /** Characters beyond ASCII are escaped. Default false, as in transformers' `tojson`. */
  ascii?: boolean;
  /** Text of one level of indentation; null: all on one line. */
  indent?: string | null;
  /** Between items, and between a key and its value. */
  separators?: readonly [string, string] | null;
  sortKeys?: boolean;
}

/** Maximum nesting depth: Python's own limit is about 1,000. */
const MAX_DEPTH = 256;

/** A value as Python's `json.dumps` writes it. Throws for a value that is not JSON, such as an undefined one. */
export function toJson(value: Value, options: JsonOptions = {}): string {
  const { indent = null, separators, ascii = false, sortKeys = false } = options;
  const [between, afterKey] = separators ?? [indent === null ? ', ' : ',', ': '];
  const string = (of: string) => (ascii ? asciiOnly(JSON.stringify(of)) : JSON.stringify(of));

  const list = (items: readonly string[], [open, close]: string, depth: number): string => {
    if (items.length === 0) return open! + close!;
    if (indent === null) return open + items.join(between) + close;
    const inner = `\n${indent.repeat(depth + 1)}`;
    return `${open}${inner}${items.join(between + inner)}\n${indent.repeat(depth)}${close}`;
  };

  const write = (part: Value, depth: number): string => {
    if (depth > MAX_DEPTH) throw new Error('a value nests too deep');
    if (typeof part === 'string') return string(part);
    if (part === null || typeof part === 'boolean') return String(part);
    if (typeof part === 'number') return jsonNumber(part);
    if (part instanceof Float) return floatText(part.value);
    if (Array.isArray(part)) {
      const items = part.map((item) => write(item, depth + 1));
      return list(items, '[]', depth);
    }
    if (!isDict(part)) throw new Error(`an object of type ${typeName(part)} is not JSON`);
    const entries = Object.entries(part);
    if (sortKeys) entries.sort(([a], [b]) => (a < b ? -1 : 1));
    const items = entries.map(([key, item]) => string(key) + afterKey + write(item, depth + 1));
    return list(items, '{}', depth);
  };
  return write(value, 0);
}

/** DEL is ASCII, too. */
function asciiOnly(json: string): string {
  return json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
