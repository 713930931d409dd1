import type { Page, TimeSpan } from '@graft/service';
import { type TSchema, Type } from 'typebox';
import { nullable, ref, toDate } from './schema.ts';

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

export interface List<T> {
  object: 'list';
  data: T[];
  has_more: boolean;
  first_id: string | null;
  last_id: string | null;
}

export function toWireList<Row, T extends { id: string }>(page: Page<Row>, toWire: (row: Row) => T): List<T> {
  const data = page.data.map(toWire);
  return {
    object: 'list',
    data,
    has_more: page.hasMore,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  };
}

export const After = Type.Optional(
  Type.String({ minLength: 1, maxLength: 256, description: 'Id of the last object of the previous page.' }),
);

export function limit(byDefault: number, maximum: number) {
  return Type.Integer({ minimum: 1, maximum, default: byDefault });
}

/** Query parameters that limit a list by creation time. */
export const createdBetween = {
  created_after: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: latest,
      description: 'Unix timestamp (in seconds). Only objects created at or after this time are returned.',
    }),
  ),
  created_before: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: latest,
      description: 'Unix timestamp (in seconds). Only objects created before this time are returned.',
    }),
  ),
};

/** Converts `createdBetween` to the service's format. */
export function createdSpan(query: {
  created_after?: number | undefined;
  created_before?: number | undefined;
}): TimeSpan {
  return { from: toDate(query.created_after), before: toDate(query.created_before) };
}
