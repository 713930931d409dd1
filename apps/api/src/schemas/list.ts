import type { Page } from '@graft/service';
import { type TSchema, Type } from 'typebox';
import { nullable, ref } from './schema.ts';

/** OpenAI's list, one page of it. Page on with `after = last_id` until `has_more` is false. */
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
  Type.String({ minLength: 1, maxLength: 256, description: 'Id of the last object of the page before.' }),
);

export function limit(byDefault: number, maximum: number) {
  return Type.Integer({ minimum: 1, maximum, default: byDefault });
}
