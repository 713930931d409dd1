import { GraftError } from '@graft/peft-core/config';

export interface Page<T> {
  data: T[];
  hasMore: boolean;
}

/** A time range: `from` is inclusive, `before` exclusive. */
export interface TimeSpan {
  from?: Date | undefined;
  before?: Date | undefined;
}

/** Returns the Prisma condition for rows created in the range; {} without a range. */
export function createdIn({ from, before }: TimeSpan = {}): { createdAt?: { gte?: Date; lt?: Date } } {
  if (!from && !before) return {};
  return { createdAt: { ...(from && { gte: from }), ...(before && { lt: before }) } };
}

/** Prisma `findMany` arguments that select one page of an ordered list. */
interface PageArguments {
  take: number;
  cursor?: { id: string };
}

/**
 * Reads one page of a team's rows. `has` counts the team's rows of an id; `read` reads in the list's order. Throws GraftError
 * `invalid_cursor` if `after`, the id of the last row of the previous page, is not one of the team's rows.
 */
export async function readPage<Row extends { id: string }, T>(
  { after, limit }: { after?: string | undefined; limit: number },
  table: {
    has(id: string): Promise<number>;
    read(page: PageArguments): Promise<Row[]>;
    toRecord(row: Row): T;
  },
): Promise<Page<T>> {
  if (after !== undefined && (await table.has(after)) === 0) {
    throw new GraftError('invalid_cursor', `No such object to list after: ${after}`, { param: 'after' });
  }
  // One extra row shows whether there is another page. The cursor's own row comes first, unless a filter excludes it.
  const found = await table.read(
    after === undefined ? { take: limit + 1 } : { take: limit + 2, cursor: { id: after } },
  );
  const rows = found.filter(({ id }) => id !== after);
  return { data: rows.slice(0, limit).map(table.toRecord), hasMore: rows.length > limit };
}
