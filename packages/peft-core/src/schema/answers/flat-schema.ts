/**
 * Schemas without references, combinations and overlaps: a schema that several parts restrict is a list of alternatives, each with what all
 * parts require of values of each type.
 */
import { isRecord, show } from '../check-fields.ts';
import type { NumberLimit } from './numbers.ts';
import { type Place, placeOf, SchemaFault, spend } from './schema-fault.ts';

export type Type = 'null' | 'boolean' | 'integer' | 'number' | 'string' | 'array' | 'object';
export const TYPES: readonly Type[] = ['string', 'number', 'boolean', 'null', 'array', 'object'];

export interface SchemaPart {
  schema: unknown;
  path: string;
}

export interface FlatSchema {
  path: string;
  types: ReadonlySet<Type>;
  /** Values of `enum` and `const`; null: any. */
  values: readonly unknown[] | null;
  text: { patterns: SchemaPart[]; formats: SchemaPart[]; min: number; max: number | null };
  number: { min: NumberLimit | null; max: NumberLimit | null; divisors: SchemaPart[] };
  list: {
    shapes: { prefix: SchemaPart[]; rest: SchemaPart | null }[];
    min: number;
    max: number | null;
    isUnique: boolean;
  };
  object: {
    shapes: { properties: Map<string, SchemaPart>; rest: SchemaPart | null }[];
    required: Set<string>;
    min: number;
    max: number | null;
  };
}

/** Types by keywords, for schemas without a type. */
const IMPLIED: readonly (readonly [type: Type, keywords: readonly string[]])[] = [
  ['object', ['properties', 'required', 'additionalProperties', 'minProperties', 'maxProperties']],
  ['array', ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems']],
  ['string', ['pattern', 'format', 'minLength', 'maxLength']],
  ['number', ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf']],
];

export interface FlatOptions {
  root: unknown;
  budget: Place['budget'];
  /** True if a schema without types that restricts values of a type allows only such. */
  implied: boolean;
  /** Called with the alternatives of each `oneOf`, since a value may follow only one, and what else restricts the value. */
  onlyOne: (alternatives: readonly SchemaPart[], beside: readonly SchemaPart[], path: string) => void;
}

/** The alternatives of a value that follows all parts; none if no value does. Throws SchemaFault. */
export function flatSchemas(parts: readonly SchemaPart[], options: FlatOptions): FlatSchema[] {
  const flat: FlatSchema = {
    path: parts[0]?.path ?? '',
    types: new Set([...TYPES, 'integer']),
    values: null,
    text: { patterns: [], formats: [], min: 0, max: null },
    number: { min: null, max: null, divisors: [] },
    list: { shapes: [], min: 0, max: null, isUnique: false },
    object: { shapes: [], required: new Set(), min: 0, max: null },
  };
  const plain: SchemaPart[] = [];
  const choices: { from: SchemaPart[]; path: string; isOne: boolean }[] = [];
  const references = new Set<string>();
  const waiting = [...parts].reverse();
  const implied = new Set<Type>();
  let isTyped = false;
  for (let part = waiting.pop(); part; part = waiting.pop()) {
    const { schema, path } = part;
    spend({ path, budget: options.budget }, 10);
    if (schema === false) return [];
    if (!isRecord(schema)) continue;
    const { $ref, allOf, anyOf, oneOf, ...own } = schema;
    const list = (value: unknown, name: string): SchemaPart[] =>
      Array.isArray(value)
        ? value.map((each, i) => ({ schema: each, path: within(path, `${name}[${i}]`) }))
        : [];
    if (typeof $ref === 'string' && !references.has($ref)) {
      references.add($ref);
      waiting.push({ schema: schemaPart(options.root, $ref), path });
    }
    waiting.push(...list(allOf, 'allOf').reverse());
    if (Array.isArray(anyOf)) choices.push({ from: list(anyOf, 'anyOf'), path, isOne: false });
    if (Array.isArray(oneOf)) choices.push({ from: list(oneOf, 'oneOf'), path, isOne: true });
    if (Object.keys(own).length === 0) continue;
    plain.push({ schema: own, path });
    const types = typesOf(own.type);
    if (types || own.enum !== undefined || own.const !== undefined) isTyped = true;
    if (types) flat.types = commonTypes(flat.types, types);
    else for (const [type, keywords] of IMPLIED) if (keywords.some((name) => name in own)) implied.add(type);
    restrict(flat, own, path);
  }
  if (flat.types.size === 0 || flat.values?.length === 0) return [];
  if (choices.length === 0) {
    if (!isTyped && implied.size > 0 && options.implied) flat.types = implied;
    return [flat];
  }
  for (const { from, path, isOne } of choices)
    if (isOne)
      options.onlyOne(from, [...plain, ...choices.filter((each) => each.from !== from).map(anyOfPart)], path);
  return combinations(choices).flatMap((chosen) => {
    spend({ path: flat.path, budget: options.budget }, 10 * (plain.length + chosen.length));
    return flatSchemas([...plain, ...chosen], options);
  });
}

const anyOfPart = ({ from, path }: { from: SchemaPart[]; path: string }): SchemaPart => ({
  schema: { anyOf: from.map(({ schema }) => schema) },
  path,
});

function* everyCombination(choices: readonly { from: SchemaPart[] }[]): Generator<SchemaPart[]> {
  const [first, ...others] = choices;
  if (!first) yield [];
  else for (const each of first.from) for (const rest of everyCombination(others)) yield [each, ...rest];
}

function combinations(choices: readonly { from: SchemaPart[]; path: string }[]): SchemaPart[][] {
  const count = choices.reduce((product, { from }) => product * from.length, 1);
  if (count > 1_000)
    throw new SchemaFault(
      `must have at most 1000 combinations of alternatives${placeOf({ path: choices[0]!.path })}, got ${count}`,
    );
  return [...everyCombination(choices)];
}

function restrict(flat: FlatSchema, own: Record<string, unknown>, path: string): void {
  const { text, number, list, object } = flat;
  if (Array.isArray(own.enum)) flat.values = common(flat.values, own.enum);
  if (own.const !== undefined) flat.values = common(flat.values, [own.const]);
  if (own.pattern !== undefined) text.patterns.push({ schema: own.pattern, path });
  if (own.format !== undefined) text.formats.push({ schema: own.format, path });
  if (own.multipleOf !== undefined) number.divisors.push({ schema: own.multipleOf, path });
  number.min = narrower(
    1,
    number.min,
    numberOf(own, 'minimum', path),
    numberOf(own, 'exclusiveMinimum', path),
  );
  number.max = narrower(
    -1,
    number.max,
    numberOf(own, 'maximum', path),
    numberOf(own, 'exclusiveMaximum', path),
  );
  for (const [limits, noun] of [
    [text, 'Length'],
    [list, 'Items'],
    [object, 'Properties'],
  ] as const) {
    limits.min = Math.max(limits.min, Number(own[`min${noun}`] ?? 0));
    const most = own[`max${noun}`];
    if (most !== undefined) limits.max = Math.min(limits.max ?? Number.POSITIVE_INFINITY, Number(most));
  }
  const part = (name: string): SchemaPart | null =>
    own[name] === undefined ? null : { schema: own[name], path: within(path, name) };
  if (own.items !== undefined || own.prefixItems !== undefined) {
    const first = Array.isArray(own.prefixItems) ? own.prefixItems : [];
    const prefix = first.map((each, i) => ({
      schema: each as unknown,
      path: within(path, `prefixItems[${i}]`),
    }));
    list.shapes.push({ prefix, rest: part('items') });
  }
  list.isUnique ||= own.uniqueItems === true;
  const declared = isRecord(own.properties) ? Object.entries(own.properties) : [];
  if (own.properties !== undefined || own.additionalProperties !== undefined) {
    const properties = new Map(
      declared.map(([name, each]) => [name, { schema: each, path: within(path, `properties.${name}`) }]),
    );
    object.shapes.push({ properties, rest: part('additionalProperties') });
  }
  for (const name of Array.isArray(own.required) ? own.required : []) object.required.add(String(name));
}

const within = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);

function typesOf(type: unknown): Type[] | null {
  if (type === undefined) return null;
  return (Array.isArray(type) ? type : [type]) as Type[];
}

/** An integer is a number, too. */
function commonTypes(known: ReadonlySet<Type>, types: readonly Type[]): Set<Type> {
  const given = new Set(
    types.flatMap((type) => (type === 'number' ? (['number', 'integer'] as const) : [type])),
  );
  return new Set([...known].filter((type) => given.has(type)));
}

const common = (known: readonly unknown[] | null, given: readonly unknown[]): readonly unknown[] =>
  known === null ? given : known.filter((each) => given.some((other) => isSame(each, other)));

/** Returns true if two values of JSON are equal, whatever the order of names. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a))
    return Array.isArray(b) && a.length === b.length && a.every((each, i) => isSame(each, b[i]));
  if (!isRecord(a)) return a === b;
  const names = Object.keys(a);
  return (
    isRecord(b) &&
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && isSame(a[name], b[name]))
  );
}

function numberOf(own: Record<string, unknown>, name: string, path: string): NumberLimit | null {
  const value = own[name];
  if (value === undefined) return null;
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new SchemaFault(`must have a number as ${name}${placeOf({ path })}, got ${show(value)}`);
  return { value, isExclusive: name.startsWith('exclusive') };
}

/** The limit that leaves the fewest numbers. `sign`: 1 for lower limits, −1 for upper ones. */
function narrower(sign: 1 | -1, ...limits: (NumberLimit | null)[]): NumberLimit | null {
  return limits.reduce((best, each) => {
    if (!best || !each) return best ?? each;
    if (best.value === each.value) return best.isExclusive ? best : each;
    return sign * best.value > sign * each.value ? best : each;
  }, null);
}

/** The part of a schema to which a JSON pointer such as `#/$defs/node` leads; undefined if there is none. */
export function schemaPart(root: unknown, reference: string): unknown {
  const names = reference.slice(1).split('/').slice(1);
  let part: unknown = root;
  for (const name of names) {
    const key = name.replaceAll('~1', '/').replaceAll('~0', '~');
    if ((!isRecord(part) && !Array.isArray(part)) || !Object.hasOwn(part, key)) return undefined;
    part = (part as Record<string, unknown>)[key];
  }
  return part;
}
