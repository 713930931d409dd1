import { isRecord, show } from '../check-fields.ts';
import { answerExpression } from './answer-grammar.ts';
import { schemaPart, TYPES } from './flat-schema.ts';
import { GrammarRules } from './rules.ts';
import { SchemaFault } from './schema-fault.ts';

/** Limits on the JSON schema of an answer or of a tool's arguments: larger ones take seconds to prepare, and are mistakes. */
const MAX_LENGTH = 65_536;
const MAX_DEPTH = 32;
const MAX_CHOICES = 1_000;
const MAX_PROPERTIES = 500;
const MAX_PATTERN = 512;
const MAX_COUNT = 4_096;

/** Keywords that limit a count, by the largest value that is accepted. */
const COUNTS = ['minItems', 'maxItems', 'minLength', 'maxLength', 'minProperties', 'maxProperties'];

/** Keywords without effect on which values are valid. */
const NOTES: readonly string[] = [
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
  '$anchor',
  '$dynamicAnchor',
  '$vocabulary',
  'contentEncoding',
  'contentMediaType',
  'contentSchema',
];

/** Keywords that answers follow. Those of others with `strict` are refused, and otherwise ignored. */
const FOLLOWED = new Set([
  ...NOTES,
  ...COUNTS,
  'type',
  'enum',
  'const',
  'allOf',
  'anyOf',
  'oneOf',
  '$ref',
  '$defs',
  'definitions',
  'properties',
  'required',
  'additionalProperties',
  'items',
  'prefixItems',
  'uniqueItems',
  'pattern',
  'format',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
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
const LISTS = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems']);
const NAMED = new Set(['properties', '$defs', 'definitions', 'patternProperties', 'dependentSchemas']);

/**
 * Why answers cannot be restricted to a JSON schema, as "must …", with the place in the schema; null if they can. `strict`: also keywords
 * that answers may not follow are faults. `rules`: shared by the schemas of a request, whose cost is bounded together.
 */
export function answerSchemaFault(
  schema: unknown,
  { strict = false, rules = new GrammarRules() } = {},
): string | null {
  const fault = formFault(schema, strict);
  if (fault !== null) return fault;
  try {
    answerExpression(schema, rules, { strict });
    return null;
  } catch (error) {
    if (error instanceof SchemaFault) return error.message;
    throw error;
  }
}

/** Faults of single keywords, and of what costs too much to read. */
function formFault(schema: unknown, strict: boolean): string | null {
  const length = JSON.stringify(schema)?.length ?? 0;
  if (length > MAX_LENGTH) return `must be at most ${MAX_LENGTH} characters of JSON, got ${length}`;
  const left = { choices: MAX_CHOICES, properties: MAX_PROPERTIES };
  const root = schema;
  /** Schemas that were checked, to which references may lead. */
  const checked = new Set<unknown>();
  const references: { to: string; at: string }[] = [];

  function faultAt(value: unknown, path: string, depth: number): string | null {
    const at = path === '' ? '' : ` at ${path}`;
    if (typeof value === 'boolean') return null;
    if (!isRecord(value)) return `must be a JSON schema${at}, got ${show(value)}`;
    if (depth > MAX_DEPTH) return `must nest at most ${MAX_DEPTH} deep`;
    checked.add(value);
    for (const [keyword, part] of Object.entries(value)) {
      if (strict && !FOLLOWED.has(keyword))
        return `must not have ${show(keyword)}${at} with 'strict': answers are not guaranteed to follow it`;
      const fault = keywordFault(keyword, part, at) ?? partsFault(keyword, part, path, depth);
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
      return firstFault(names, (name) => faultAt(part[name], `${inner}.${name}`, depth + 1));
    }
    if (!WITHIN.has(keyword)) return null;
    if (LISTS.has(keyword) !== Array.isArray(part))
      return `must have ${LISTS.has(keyword) ? 'a list of schemas' : 'a schema'} as ${inner}, got ${show(part)}${keyword === 'items' ? "; use 'prefixItems' for a list" : ''}`;
    if (Array.isArray(part)) return firstFault(part, (each, i) => faultAt(each, `${inner}[${i}]`, depth + 1));
    return faultAt(part, inner, depth + 1);
  }

  function keywordFault(keyword: string, part: unknown, at: string): string | null {
    if (keyword === 'type') {
      const isKnown = [part]
        .flat()
        .every((each) => each === 'integer' || TYPES.some((type) => type === each));
      return isKnown ? null : `must have a type${at} among integer, ${TYPES.join(', ')}, got ${show(part)}`;
    }
    if (keyword === 'required') {
      const isFine = Array.isArray(part) && part.every((name) => typeof name === 'string');
      left.properties -= isFine ? part.length : 0;
      if (left.properties < 0) return `must have at most ${MAX_PROPERTIES} properties in all`;
      return isFine ? null : `must have a list of names as 'required'${at}, got ${show(part)}`;
    }
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
    if (keyword === 'pattern' && (typeof part !== 'string' || part.length > MAX_PATTERN))
      return `must have a pattern${at} of at most ${MAX_PATTERN} characters`;
    if (keyword === '$ref') {
      if (typeof part !== 'string' || !/^#(?:\/|$)/.test(part))
        return `must have references within the schema only, got ${show(part)}${at}`;
      references.push({ to: part, at });
    }
    return null;
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
