import { isRecord, show } from './check-fields.ts';
import { nestedRepetition } from './nested-repetition.ts';
import { expandedSize } from './pattern-size.ts';

/** Limits on the JSON schema of an answer or of a tool's arguments: larger ones take seconds to prepare, and are mistakes. */
const MAX_LENGTH = 65_536;
const MAX_DEPTH = 32;
const MAX_CHOICES = 1_000;
const MAX_PROPERTIES = 500;
const MAX_PATTERN = 512;
/** Maximum number of states of all patterns, counted repetitions written out. */
const MAX_STATES = 4_096;
const MAX_COUNT = 4_096;

/** Keywords that limit a count, by the largest value that is accepted. */
const COUNTS = ['minItems', 'maxItems', 'minLength', 'maxLength', 'minProperties', 'maxProperties'];

/** Keywords without effect on which values are valid. */
export const NOTES: readonly string[] = [
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
  '$schema',
  '$id',
  '$comment',
];

/** Keywords that answers are guaranteed to follow. */
const FOLLOWED = new Set([
  ...NOTES,
  ...COUNTS,
  'type',
  'enum',
  'const',
  'anyOf',
  '$ref',
  '$defs',
  'definitions',
  'properties',
  'required',
  'additionalProperties',
  'items',
  'prefixItems',
  'pattern',
  'format',
  'minimum',
  'maximum',
]);

/** Keywords whose values are schemas, lists of schemas, or objects of schemas. */
const WITHIN = new Set([
  'items',
  'additionalProperties',
  'anyOf',
  'oneOf',
  'allOf',
  'prefixItems',
  'not',
  'contains',
  'propertyNames',
  'unevaluatedItems',
  'unevaluatedProperties',
  'if',
  'then',
  'else',
]);
const NAMED = new Set(['properties', '$defs', 'definitions', 'patternProperties', 'dependentSchemas']);

/**
 * Why answers cannot be restricted to a JSON schema, as "must …", with the place in the schema; null if they can. `strict`: also keywords
 * whose effect is not guaranteed are faults. The cost is bounded, whatever the schema.
 */
export function answerSchemaFault(schema: unknown, { strict = false } = {}): string | null {
  const length = JSON.stringify(schema)?.length ?? 0;
  if (length > MAX_LENGTH) return `must be at most ${MAX_LENGTH} characters of JSON, got ${length}`;
  const left = { choices: MAX_CHOICES, properties: MAX_PROPERTIES, states: MAX_STATES };
  const root = schema;
  /** Schemas that were checked, to which references may lead. */
  const checked = new Set<unknown>();
  const references: { to: string; at: string }[] = [];

  function faultAt(value: unknown, path: string, depth: number): string | null {
    const at = path === '' ? '' : ` at ${path}`;
    if (typeof value === 'boolean')
      return value || path === '' ? null : `must not have the schema false${at}, which allows nothing`;
    if (!isRecord(value)) return `must be a JSON schema${at}, got ${show(value)}`;
    if (depth > MAX_DEPTH) return `must nest at most ${MAX_DEPTH} deep`;
    checked.add(value);
    for (const [keyword, part] of Object.entries(value)) {
      if (strict && !FOLLOWED.has(keyword))
        return `must not have ${show(keyword)}${at} with 'strict': answers are not guaranteed to follow it`;
      const fault = keywordFault(keyword, part, value, at) ?? partsFault(keyword, part, path, depth);
      if (fault !== null) return fault;
    }
    return null;
  }

  function partsFault(keyword: string, part: unknown, path: string, depth: number): string | null {
    const inner = path === '' ? keyword : `${path}.${keyword}`;
    if (NAMED.has(keyword)) {
      if (!isRecord(part)) return `must have an object as ${inner}, got ${show(part)}`;
      const names = Object.keys(part);
      left.properties -= names.length;
      if (left.properties < 0) return `must have at most ${MAX_PROPERTIES} properties in all`;
      return firstFault(
        names,
        (name) =>
          (keyword === 'patternProperties' ? patternFault(name, ` of ${inner}`) : null) ??
          faultAt(part[name], `${inner}.${name}`, depth + 1),
      );
    }
    if (!WITHIN.has(keyword)) return null;
    if (Array.isArray(part)) return firstFault(part, (each, i) => faultAt(each, `${inner}[${i}]`, depth + 1));
    if (keyword === 'additionalProperties' && typeof part === 'boolean') return null;
    return faultAt(part, inner, depth + 1);
  }

  function keywordFault(
    keyword: string,
    part: unknown,
    owner: Record<string, unknown>,
    at: string,
  ): string | null {
    if (keyword === 'enum') {
      if (!Array.isArray(part) || part.length === 0)
        return `must have a list of at least one value as 'enum'${at}`;
      left.choices -= part.length;
      return left.choices < 0 ? `must have at most ${MAX_CHOICES} values of 'enum' in all` : null;
    }
    if (COUNTS.includes(keyword)) {
      const isCount = Number.isInteger(part) && (part as number) >= 0 && (part as number) <= MAX_COUNT;
      return isCount ? null : `must have a ${keyword}${at} from 0 to ${MAX_COUNT}, got ${show(part)}`;
    }
    if (keyword === 'pattern') {
      const fault = patternFault(part, at);
      if (fault !== null) return fault;
      const other = ['minLength', 'maxLength', 'format'].find((each) => each in owner);
      return strict && other ? `must not have both 'pattern' and '${other}'${at} with 'strict'` : null;
    }
    if (keyword === '$ref') {
      if (typeof part !== 'string' || !part.startsWith('#'))
        return `must have references within the schema only, got ${show(part)}${at}`;
      references.push({ to: part, at });
    }
    return null;
  }

  function patternFault(pattern: unknown, at: string): string | null {
    if (typeof pattern !== 'string' || pattern.length > MAX_PATTERN)
      return `must have a pattern${at} of at most ${MAX_PATTERN} characters`;
    left.states -= expandedSize(pattern);
    if (left.states < 0)
      return `must have patterns of at most ${MAX_STATES} states in all, counted repetitions written out; that is exceeded${at}`;
    const nested = nestedRepetition(pattern);
    return (
      nested &&
      `must not repeat a repetition with nothing between or three deep, as ${show(nested)} in the pattern${at} does; repeat what has a fixed part, such as the comma of "([a-z]+,)*"`
    );
  }

  function referenceFault({ to, at }: (typeof references)[number]): string | null {
    const target = schemaPart(root, to);
    if (target === undefined) return `must have what $ref ${show(to)}${at} refers to`;
    // Other parts would not be checked.
    return typeof target === 'boolean' || checked.has(target)
      ? null
      : `must have a schema where $ref ${show(to)}${at} leads, such as one in $defs`;
  }

  return faultAt(schema, '', 1) ?? firstFault(references, referenceFault);
}

function firstFault<T>(
  parts: readonly T[],
  faultOf: (part: T, index: number) => string | null,
): string | null {
  for (const [i, part] of parts.entries()) {
    const fault = faultOf(part, i);
    if (fault !== null) return fault;
  }
  return null;
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
