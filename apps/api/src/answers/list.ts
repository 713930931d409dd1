import type { Page, TimeSpan } from '@graft/service/database';

/** Unix seconds of a time, or null. */
export const secondsOrNull = (date: Date | null): number | null => (date ? unixSeconds(date) : null);

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

/** Converts `createdBetween` to the service's format. */
export function createdSpan(query: {
  created_after?: number | undefined;
  created_before?: number | undefined;
}): TimeSpan {
  return { from: toDate(query.created_after), before: toDate(query.created_before) };
}

export function unixSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

/** The reverse of `unixSeconds`; undefined stays undefined. */
export const toDate = (seconds: number | undefined): Date | undefined =>
  seconds === undefined ? undefined : new Date(seconds * 1000);
