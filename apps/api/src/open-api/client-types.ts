import { nameOf, type OpenApiDocument, type Parameter, type Schema } from './document.ts';

/**
 * Returns the types of the TypeScript client as module source: the named schemas of the document, and the query parameters of each
 * operation. `npm run openapi` writes the file. Implemented here since openapi-typescript needs the compiler's JavaScript API, which
 * TypeScript 7 does not have.
 */
export function clientTypesOf({ paths, components }: OpenApiDocument): string {
  const schemas = Object.entries(components.schemas).sort(([a], [b]) => (a < b ? -1 : 1));
  const queries = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, { parameters = [] }]) => {
      const query = querySchema(parameters);
      return query ? [[`${method.toUpperCase()} ${path}`, query] as const] : [];
    }),
  );
  const sorted = queries.sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    '// Made by `npm run openapi` from the document of the API. Changes belong in its schemas.\n',
    ...schemas.map(([name, schema]) => declaration(name, schema)),
    `${comment('What operations take in the query string.', '')}export interface Queries ${membersOf(
      { type: 'object', properties: Object.fromEntries(sorted), required: sorted.map(([name]) => name) },
      '',
    )}\n`,
  ].join('\n');
}

function querySchema(parameters: Parameter[]): Schema | null {
  const own = parameters.filter((parameter) => parameter.in === 'query');
  if (own.length === 0) return null;
  return {
    type: 'object',
    properties: Object.fromEntries(
      own.map(({ name, description, schema = {} }) => [
        name,
        { ...schema, ...(description === undefined ? {} : { description }) },
      ]),
    ),
    required: own.filter(({ required }) => required).map(({ name }) => name),
  };
}

function declaration(name: string, schema: Schema): string {
  const told = comment(schema.description, '');
  if (schema.properties) return `${told}export interface ${name} ${membersOf(schema, '')}\n`;
  return `${told}export type ${name} = ${typeOf(schema, '')};\n`;
}

function membersOf({ properties = {}, required = [] }: Schema, indent: string): string {
  const inner = `${indent}  `;
  const members = Object.entries(properties).map(([name, schema]) => {
    const key = /^[A-Za-z_$][\w$]*$/.test(name) ? name : `'${name}'`;
    const optional = required.includes(name) ? '' : '?';
    const told = comment(descriptionOf(schema), inner, schema.deprecated);
    return `${told}${inner}${key}${optional}: ${typeOf(schema, inner)};\n`;
  });
  return `{\n${members.join('')}${indent}}`;
}

/** The schema's description, or that of its only alternative to null. */
function descriptionOf({ description, anyOf }: Schema): string | undefined {
  if (description !== undefined || !anyOf) return description;
  const others = anyOf.filter(({ type }) => type !== 'null');
  return others.length === 1 ? others[0]!.description : undefined;
}

function comment(description: string | undefined, indent: string, deprecated = false): string {
  const text = [description, deprecated ? '@deprecated' : undefined].filter(Boolean).join(' ');
  return text === '' ? '' : `${indent}/** ${text.replaceAll('*/', '*\\/').replaceAll(/\s+/g, ' ')} */\n`;
}

function typeOf(schema: Schema, indent: string): string {
  if (schema.$ref !== undefined) return nameOf(schema.$ref);
  if ('const' in schema) return literal(schema.const);
  if (schema.enum) return union(schema.enum.map(literal));
  if (schema.anyOf) return union(schema.anyOf.map((part) => typeOf(part, indent)));
  if (Array.isArray(schema.type))
    return union(schema.type.map((type) => typeOf({ ...schema, type }, indent)));
  switch (schema.type) {
    case undefined:
      return 'unknown';
    case 'integer':
      return 'number';
    case 'string':
    case 'number':
    case 'boolean':
    case 'null':
      return schema.type;
    case 'array': {
      const { items = {} } = schema;
      const item = typeOf(items, indent);
      const isUnion = items.anyOf || items.enum || Array.isArray(items.type);
      return isUnion && item.includes(' | ') ? `(${item})[]` : `${item}[]`;
    }
    case 'object': {
      if (schema.properties) return membersOf(schema, indent);
      const { additionalProperties: other = true } = schema;
      return `Record<string, ${typeof other === 'object' ? typeOf(other, indent) : 'unknown'}>`;
    }
    default:
      throw new Error(`There is no TypeScript for the type ${schema.type} of ${JSON.stringify(schema)}`);
  }
}

function literal(value: unknown): string {
  if (Array.isArray(value)) return 'never[]';
  if (typeof value === 'object' && value !== null) return 'Record<string, never>';
  return typeof value === 'string' ? `'${value.replaceAll("'", "\\'")}'` : String(value);
}

/** The union of distinct types, null last. */
function union(types: string[]): string {
  const all = new Set(types.flatMap((type) => (type.includes('{') ? [type] : type.split(' | '))));
  const nullable = all.delete('null');
  return [...all, ...(nullable ? ['null'] : [])].join(' | ');
}
