import { type Static, type TProperties, type TSchema, type TSchemaOptions, Type } from 'typebox';

/** A reference to a schema with an `$id`, so that OpenAPI contains that schema once, under its name. */
export function ref<T extends TSchema>(schema: T, more: object = {}) {
  return Type.Unsafe<Static<T>>({ $ref: `${idOf(schema)}#`, ...more });
}

function idOf(schema: TSchema): string {
  const { $id } = schema as { $id?: string };
  if (!$id) throw new Error('A shared schema needs an $id');
  return $id;
}

/** Every schema with a name in OpenAPI. */
export const namedSchemas: TSchema[] = [];

/** An object schema that OpenAPI contains once, under this name; `ref` refers to it. */
export function named<P extends TProperties>($id: string, properties: P, options: TSchemaOptions = {}) {
  const schema = Type.Object(properties, { $id, ...options });
  namedSchemas.push(schema);
  return schema;
}

/** An object of a request, in which unknown keys are errors. */
export function input<P extends TProperties>(properties: P, options: TSchemaOptions = {}) {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

/** `input` with a name in OpenAPI. */
export function namedInput<P extends TProperties>($id: string, properties: P, options: TSchemaOptions = {}) {
  return named($id, properties, { ...options, additionalProperties: false });
}

/** The response to the deletion of an object of type `object`. */
export function deletedSchema<O extends string, P extends TProperties = Record<never, never>>(
  $id: string,
  object: O,
  more = {} as P,
) {
  const deleted = { id: Type.String(), object: Type.Literal(object), deleted: Type.Literal(true) };
  return named($id, { ...deleted, ...more });
}

/** The part of an answer for a key that may write an object but not read it. */
export const ReceiptSchema = named('Receipt', {
  id: Type.Optional(Type.String({ description: 'Id of the object that was created or changed.' })),
  object: Type.String(),
  secret: Type.Optional(Type.String({ description: 'New secret. It is returned only once.' })),
});

/**
 * Keyword of a part that OpenAPI documents and peft-core's parser checks instead of the schema: the parser knows the rules between fields
 * and suggests the nearest key.
 */
export const parsedElsewhere = 'x-graft-parsed-elsewhere';

/** `schema` in the documentation; validation accepts anything. */
export function documented<T extends TSchema>(schema: T) {
  return Type.Unsafe<unknown>({ $ref: `${idOf(schema)}#`, [parsedElsewhere]: true });
}

export function nullable<T extends TSchema>(schema: T, options: TSchemaOptions = {}) {
  return Type.Union([schema, Type.Null()], options);
}

/** The same properties, each optional. */
export function optional<P extends TProperties>(properties: P) {
  return Type.Partial(Type.Object(properties)).properties;
}

/** One of these strings. */
export function oneOf<const V extends readonly string[]>(values: V, options: TSchemaOptions = {}) {
  return Type.Unsafe<V[number]>(Type.Enum([...values], { type: 'string', ...options }));
}

export const Time = Type.Integer({ description: 'Unix timestamp (in seconds).' });

export const MetadataSchema = Type.Unsafe<Record<string, string>>({
  type: 'object',
  maxProperties: 16,
  propertyNames: { type: 'string', minLength: 1, maxLength: 64 },
  additionalProperties: { type: 'string', maxLength: 512 },
  description: 'Up to 16 key-value pairs of strings: keys of at most 64 characters, values of at most 512.',
});
