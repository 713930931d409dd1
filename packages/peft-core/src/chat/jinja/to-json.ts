import { Float } from '../../schema/exact-json.ts';
import type { TemplateBudget } from '../template-budget.ts';
import { join } from './texts.ts';
import { floatText, isDict, jsonNumber, keysOf, MAX_DEPTH, typeName, type Value } from './values.ts';

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

/** A value as Python's `json.dumps` writes it. Throws for a value that is not JSON, such as an undefined one. */
export function toJson(value: Value, budget: TemplateBudget, options: JsonOptions = {}): string {
  const { indent = null, separators, ascii = false, sortKeys = false } = options;
  const [between, afterKey] = separators ?? [indent === null ? ', ' : ',', ': '];
  const string = (of: string) => {
    budget.spend(of.length);
    return ascii ? asciiOnly(JSON.stringify(of)) : JSON.stringify(of);
  };
  const line = (depth: number) => {
    budget.spend(indent!.length * depth);
    return `\n${indent!.repeat(depth)}`;
  };

  const list = (items: readonly string[], [open, close]: string, depth: number): string => {
    if (items.length === 0) return open! + close!;
    if (indent === null) return open + join(items, between, budget) + close;
    const inner = line(depth + 1);
    return `${open}${inner}${join(items, between + inner, budget)}${line(depth)}${close}`;
  };

  const write = (part: Value, depth: number): string => {
    budget.spend();
    if (depth > MAX_DEPTH) throw new Error('a value nests too deep');
    if (typeof part === 'string') return string(part);
    if (part === null || typeof part === 'boolean') return String(part);
    if (typeof part === 'number' || typeof part === 'bigint') return jsonNumber(part);
    if (part instanceof Float) return floatText(part.value);
    if (Array.isArray(part)) {
      const items = part.map((item) => write(item, depth + 1));
      return list(items, '[]', depth);
    }
    if (!isDict(part)) throw new Error(`an object of type ${typeName(part)} is not JSON`);
    let keys = keysOf(part, budget);
    if (sortKeys) {
      budget.spend(0, keys.length);
      keys = keys.toSorted();
    }
    const items = keys.map((key) => {
      const item = write(part[key], depth + 1);
      return join([string(key), item], afterKey, budget);
    });
    return list(items, '{}', depth);
  };
  return write(value, 0);
}

/** DEL is ASCII, too. */
function asciiOnly(json: string): string {
  return json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
