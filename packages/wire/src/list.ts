import { type TSchema, Type } from 'typebox';
import { nullable, optional, ref } from './schema.ts';

/** End of the year 9999, the limit of both Postgres and JavaScript. */
const latest = 253_402_300_799;

/** One page of a list, in OpenAI's format. The next page is `after = last_id`, until `has_more` is false. */
export function listOf<T extends TSchema>(item: T) {
  return Type.Object({
    object: Type.Literal('list'),
    data: Type.Array(ref(item)),
    has_more: Type.Boolean(),
    first_id: nullable(Type.String()),
    last_id: nullable(Type.String()),
  });
}

export const After = Type.Optional(
  Type.String({ minLength: 1, maxLength: 256, description: 'Id of the last object of the previous page.' }),
);

export function limit(byDefault: number, maximum: number) {
  return Type.Integer({ minimum: 1, maximum, default: byDefault });
}

/** Query parameters that limit a list by creation time. */
export const createdBetween = optional({
  created_after: Type.Integer({
    minimum: 0,
    maximum: latest,
    description: 'Unix timestamp (in seconds). Only objects created at or after this time are returned.',
  }),
  created_before: Type.Integer({
    minimum: 0,
    maximum: latest,
    description: 'Unix timestamp (in seconds). Only objects created before this time are returned.',
  }),
});
