import type { JSONObject } from '@modelcontextprotocol/server';

/** JSON Schema of a tool: self-contained, and no deeper than a model needs. */
export type ToolSchema = {
  type: 'object';
  properties: Record<string, JSONObject>;
  required: string[];
  additionalProperties: false;
};

interface Schema {
  $ref?: string;
  type?: string | string[];
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  additionalProperties?: boolean | Schema;
  [keyword: string]: unknown;
}

export interface RouteInput {
  params?: unknown;
  querystring?: unknown;
  body?: unknown;
}

/** Below this depth of nested objects only descriptions are shown; the route reports what is wrong with the values. */
const deepest = 2;

const kept = [
  'type',
  'description',
  'enum',
  'const',
  'default',
  'required',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
];

/** Returns the arguments of a tool: the parameters of the route's path, query string and body, merged. */
export function toolSchemaOf(
  { params, querystring, body }: RouteInput,
  resolve: (id: string) => unknown,
): ToolSchema {
  const places = [params, querystring, body].map((place) => resolved((place ?? {}) as Schema, resolve));
  const properties = places.flatMap((place) => Object.entries(place.properties ?? {}));
  const described = new Set<string>();
  return {
    type: 'object',
    properties: Object.fromEntries(
      properties.map(([name, schema]) => [argumentName(name), shown(schema, resolve, deepest, described)]),
    ),
    // Parameters with a default are optional.
    required: places.flatMap(({ properties = {}, required = [] }) =>
      required.filter((name) => properties[name]?.default === undefined).map(argumentName),
    ),
    additionalProperties: false,
  };
}

/** A wildcard at the end of a path is a model id, which may contain slashes. */
export const argumentName = (name: string): string => (name === '*' ? 'model' : name);

function resolved(schema: Schema, resolve: (id: string) => unknown): Schema {
  if (!schema.$ref) return schema;
  const { $ref, ...own } = schema;
  return { ...(resolve($ref.replace(/#$/, '')) as Schema), ...own };
}

const firstSentence = (text: string | undefined): string | undefined =>
  text && /^.*?\.(?=\s|$)|^.*$/s.exec(text)![0];

/** `described`: descriptions that the tool already has. Options that many methods share are described once; those within options in one sentence. */
function shown(
  given: Schema,
  resolve: (id: string) => unknown,
  depth: number,
  described: Set<string>,
): JSONObject {
  const { description: whole, ...undescribed } = resolved(given, resolve);
  const text = depth < deepest ? firstSentence(whole) : whole;
  const description = text === undefined || described.has(text) ? undefined : text;
  if (description) described.add(description);
  const schema: Schema = description ? { ...undescribed, description } : undescribed;
  const isObject = schema.properties !== undefined;
  if (isObject && depth === 0) return { type: 'object', ...(description ? { description } : {}) };
  const own = Object.fromEntries(
    kept.filter((name) => schema[name] !== undefined).map((name) => [name, schema[name] as JSONObject]),
  );
  const inner = isObject ? depth - 1 : depth;
  return {
    ...own,
    ...(schema.properties && {
      properties: Object.fromEntries(
        Object.entries(schema.properties).map(([name, part]) => [
          name,
          shown(part, resolve, inner, described),
        ]),
      ),
    }),
    ...(schema.items && { items: shown(schema.items, resolve, depth, described) }),
    ...(schema.anyOf && { anyOf: schema.anyOf.map((part) => shown(part, resolve, depth, described)) }),
  };
}
