import { GraftError } from '@graft/peft-core/config';
import type { Prisma } from '../generated/client.ts';

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

/** Selects one page of a list: at most `limit` rows after the row with the id `after`. */
export interface PageOptions {
  after?: string | undefined;
  limit: number;
}

/** Prisma `findMany` arguments that select one page of an ordered list. */
interface PageArguments {
  take: number;
  cursor?: { id: string };
}

/**
 * Reads one page. `has` counts the rows of an id; `read` reads in the list's order. Throws GraftError `invalid_cursor` if `after`, the id
 * of the last row of the previous page, is not one of the rows.
 */
export async function readPage<Row extends { id: string }, T>(
  { after, limit }: PageOptions,
  table: {
    has(id: string): Promise<number>;
    read(page: PageArguments): Promise<Row[]>;
    toRecord(row: Row): T;
  },
): Promise<Page<T>> {
  if (after !== undefined && (await table.has(after)) === 0) {
    throw new GraftError('invalid_cursor', `No such object to list after: ${after}`, { param: 'after' });
  }
  const rows: Row[] = [];
  let last = after;
  let size = 0;
  // One extra row shows whether there is another page.
  while (rows.length <= limit && (size <= pageSize || rows.length < 2)) {
    const wanted = Math.min(rowsPerRead, limit + 1 - rows.length);
    // The cursor's own row comes first, unless a filter excludes it.
    const found = await table.read(
      last === undefined ? { take: wanted } : { take: wanted + 1, cursor: { id: last } },
    );
    if (found.length === 0 && last !== undefined && last !== after && (await table.has(last)) === 0) {
      // It was deleted since it was read.
      rows.pop();
      last = rows.at(-1)?.id ?? after;
      continue;
    }
    const next = found.filter(({ id }) => id !== last).slice(0, wanted);
    for (const row of next) {
      rows.push(row);
      size += sizeOf(row);
      if (size > pageSize && rows.length > 1) break;
    }
    if (next.length < wanted) break;
    last = next.at(-1)!.id;
  }
  const most = size > pageSize && rows.length > 1 ? rows.length - 1 : limit;
  return { data: rows.slice(0, most).map(table.toRecord), hasMore: rows.length > most };
}

/** Maximum rows per query. Few, because a row may have some 200 kB: a job whose prompt and chat template are as long as they may be. */
const rowsPerRead = 100;
/** Maximum size of a page's rows, about their bytes as JSON. A page with fewer rows than the limit for this reason reports that there are more. */
const pageSize = 4 * 2 ** 20;

function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 8;
  return Object.entries(value).reduce((sum, [key, each]) => sum + key.length + sizeOf(each), 2);
}

type Arguments<Table> = Prisma.Args<Table, 'findMany'>;

/** `where`: the rows of the list, among which `after` must be. `filter`: further conditions on what is returned. */
type ListQuery<Table> = Omit<Arguments<Table>, 'take' | 'skip' | 'cursor'> & {
  filter?: Arguments<Table>['where'];
};

interface AnyTable {
  count(query: object): Promise<number>;
  findMany(query: object): Promise<{ id: string }[]>;
}

/** Reads one page of a Prisma table, by default the newest rows first. Throws GraftError `invalid_cursor`. */
export async function listRows<Table, Query extends ListQuery<Table>, T>(
  table: Table,
  options: PageOptions,
  query: Query,
  toRecord: (row: Prisma.Result<Table, Query, 'findMany'>[number]) => T,
): Promise<Page<T>> {
  const { where = {}, filter = {}, ...rest } = query;
  const rows = table as AnyTable;
  return await readPage(options, {
    has: async (id) => await rows.count({ where: { AND: [where, { id }] } }),
    read: async (page) =>
      await rows.findMany({
        where: { AND: [where, filter] },
        orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
        ...rest,
        ...page,
      }),
    toRecord: (row) => toRecord(row as Prisma.Result<Table, Query, 'findMany'>[number]),
  });
}
