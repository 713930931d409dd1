import type { TProperties, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { GraftError } from '../errors.ts';

/** Maximum number of faults reported for one request; the check stops there. */
export const MAX_FAULTS = 20;

export interface Fault {
  code: string;
  path: string;
  message: string;
}

export const configFault = (option: string, message: string): Fault => ({
  code: 'invalid_peft_config',
  path: `peft.${option}`,
  message,
});

/** The same as an error, for checks of a config against a model. */
export function optionError(option: string, message: string): GraftError {
  return new GraftError('invalid_peft_config', `${option}: ${message}`, { param: `peft.${option}` });
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One fault per field of `value` that is in `properties` and does not match its schema. */
export function checkFields(
  value: Record<string, unknown>,
  properties: TProperties,
  at: string,
  code: string,
): Fault[] {
  const faults: Fault[] = [];
  for (const [key, schema] of Object.entries(properties)) {
    const given = value[key];
    if (given === undefined || fitsSchema(schema, given)) continue;
    const parts = isRecord(given) ? partsOf(schema) : null;
    if (parts) {
      for (const part of Object.keys(given as object))
        if (!Object.hasOwn(parts, part))
          faults.push({ code, path: `${at}.${key}.${part}`, message: `is not an option of ${key}` });
      faults.push(...checkFields(given as Record<string, unknown>, parts, `${at}.${key}`, code));
      continue;
    }
    faults.push({ code, path: `${at}.${key}`, message: `must be ${describe(schema)}, got ${show(given)}` });
  }
  return faults;
}

/** Throws one GraftError with at most `MAX_FAULTS` of the faults; its code and param are those of the first. */
export function throwFaults(faults: Fault[]): void {
  const [first] = faults;
  if (!first) return;
  const reported = faults.slice(0, MAX_FAULTS);
  const more = faults.length >= MAX_FAULTS ? '; and perhaps more' : '';
  throw new GraftError(
    first.code,
    reported.map((fault) => `${fault.path}: ${fault.message}`).join('; ') + more,
    { param: first.path, details: reported.map(({ path, message }) => ({ path, message })) },
  );
}

/** The fields of an option that is an object; null for others. */
function partsOf(schema: TSchema): TProperties | null {
  const { anyOf, properties } = schema as JsonSchema;
  if (anyOf) return anyOf.map(partsOf).find((parts) => parts !== null) ?? null;
  return properties ?? null;
}

interface JsonSchema {
  properties?: TProperties;
  anyOf?: TSchema[];
  const?: unknown;
  enum?: unknown[];
  type?: string;
  items?: TSchema;
  patternProperties?: Record<string, TSchema>;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
}

/** Describes what a schema allows: "an integer from 1 to 256". */
export function describe(schema: TSchema): string {
  const s = schema as JsonSchema;
  if (s.anyOf) return s.anyOf.map(describe).join(' or ');
  if (s.const !== undefined) return JSON.stringify(s.const);
  if (s.enum) return `one of ${s.enum.map((value) => JSON.stringify(value)).join(', ')}`;
  switch (s.type) {
    case 'integer':
      return `an integer${range(s)}`;
    case 'number':
      return `a number${range(s)}`;
    case 'string':
      return s.maxLength === undefined
        ? 'a string'
        : `a string of ${s.minLength ?? 0} to ${s.maxLength} characters`;
    case 'array':
      return `a list of ${s.minItems ?? 0}${s.maxItems === undefined ? ' or more' : ` to ${s.maxItems}`} entries, each ${describe(s.items as TSchema)}`;
    case 'object':
      return s.patternProperties
        ? `an object whose values are each ${describe(Object.values(s.patternProperties)[0] as TSchema)}`
        : 'an object';
    case 'boolean':
      return 'true or false';
    default:
      return s.type ?? 'something else';
  }
}

function range(s: JsonSchema): string {
  const low = s.exclusiveMinimum !== undefined ? `above ${s.exclusiveMinimum}` : undefined;
  const high = s.exclusiveMaximum !== undefined ? `below ${s.exclusiveMaximum}` : undefined;
  if (s.minimum !== undefined && s.maximum !== undefined) return ` from ${s.minimum} to ${s.maximum}`;
  const parts = [
    low ?? (s.minimum === undefined ? undefined : `of at least ${s.minimum}`),
    high ?? (s.maximum === undefined ? undefined : `of at most ${s.maximum}`),
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : ` ${parts.join(' and ')}`;
}

/** A value as JSON, short enough for a message. */
export function show(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(typeof value === 'string' ? value.slice(0, 100) : value) ?? String(value);
  } catch {
    // JSON.parse accepts deeper nesting than JSON.stringify.
    return 'a deeply nested value';
  }
  return text.length > 80 ? `${cut(text, 77)}…` : text;
}

/** The first `length` characters of a text, without a lone surrogate at the end. */
export function cut(text: string, length: number): string {
  return text.slice(0, length).replace(/[\uD800-\uDBFF]$/, '');
}

interface Parts {
  anyOf?: TSchema[];
  type?: string;
  items?: TSchema;
  uniqueItems?: boolean;
  minItems?: number;
  maxItems?: number;
  minimum?: number;
  maximum?: number;
  patternProperties?: Record<string, TSchema>;
  minProperties?: number;
  maxProperties?: number;
}

/**
 * Like `Value.Check`, which takes some microseconds per list entry, and twice that if entries must be unique: a request with ten
 * thousand token ids blocked the event loop for a tenth of a second. This function walks lists and records itself, and only passes the
 * rest to `Value.Check`. Unique entries must be numbers or strings.
 */
export function fitsSchema(schema: TSchema, value: unknown): boolean {
  const parts = schema as Parts;
  if (parts.anyOf) return parts.anyOf.some((one) => fitsSchema(one, value));
  if (parts.type === 'array' && parts.items) return Array.isArray(value) && fitsList(parts, value);
  if (parts.type === 'object' && parts.patternProperties) return fitsRecord(parts, value);
  if (parts.type === 'integer') return Number.isInteger(value) && within(parts, value as number);
  return Value.Check(schema, value);
}

function fitsList({ items, uniqueItems, minItems = 0, maxItems }: Parts, list: unknown[]): boolean {
  if (list.length < minItems || list.length > (maxItems ?? Number.POSITIVE_INFINITY)) return false;
  if (!list.every((entry) => fitsSchema(items!, entry))) return false;
  return !uniqueItems || new Set(list).size === list.length;
}

function fitsRecord(
  { patternProperties = {}, minProperties = 0, maxProperties }: Parts,
  value: unknown,
): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const entries = Object.entries(value);
  if (entries.length < minProperties || entries.length > (maxProperties ?? Number.POSITIVE_INFINITY))
    return false;
  const patterns = Object.entries(patternProperties).map(
    ([pattern, schema]) => [new RegExp(pattern), schema] as const,
  );
  return entries.every(([key, entry]) => {
    const found = patterns.find(([pattern]) => pattern.test(key));
    return found !== undefined && fitsSchema(found[1], entry);
  });
}

const within = (
  { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY }: Parts,
  value: number,
): boolean => value >= minimum && value <= maximum;
