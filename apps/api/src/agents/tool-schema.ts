import type { JSONObject } from '@modelcontextprotocol/server';

/** JSON Schema as tools show it: whole in itself, and no deeper than a model needs to read. */
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

/** What a route takes in one of these places. */
export interface RouteInput {
  params?: unknown;
  querystring?: unknown;
  body?: unknown;
}

/** Below this many objects inside one another, only what they are for is told; the route says what is wrong with them. */
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

/** The arguments of a tool that asks a route: what its path, query string and body take, side by side. */
export function toolSchemaOf(
  { params, querystring, body }: RouteInput,
  resolve: (id: string) => unknown,
): ToolSchema {
  const places = [params, querystring, body].map((place) => resolved((place ?? {}) as Schema, resolve));
  const properties = places.flatMap((place) => Object.entries(place.properties ?? {}));
  return {
    type: 'object',
    properties: Object.fromEntries(
      properties.map(([name, schema]) => [argumentName(name), shown(schema, resolve, deepest)]),
    ),
    // What has a default may be left out.
    required: places.flatMap(({ properties = {}, required = [] }) =>
      required.filter((name) => properties[name]?.default === undefined).map(argumentName),
    ),
    additionalProperties: false,
  };
}

/** A path that ends in a wildcard takes the id of a model, which may hold slashes. */
export const argumentName = (name: string): string => (name === '*' ? 'model' : name);

function resolved(schema: Schema, resolve: (id: string) => unknown): Schema {
  if (!schema.$ref) return schema;
  const { $ref, ...own } = schema;
  return { ...(resolve($ref.replace(/#$/, '')) as Schema), ...own };
}

function shown(given: Schema, resolve: (id: string) => unknown, depth: number): JSONObject {
  const schema = resolved(given, resolve);
  const { description } = schema;
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
        Object.entries(schema.properties).map(([name, part]) => [name, shown(part, resolve, inner)]),
      ),
    }),
    ...(schema.items && { items: shown(schema.items, resolve, depth) }),
    ...(schema.anyOf && { anyOf: schema.anyOf.map((part) => shown(part, resolve, depth)) }),
  };
}
