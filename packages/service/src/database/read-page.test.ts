import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPage } from './read-page.ts';

interface Row {
  id: string;
  text: string;
}

/** A list in memory that is read as Prisma reads a table, and the number of rows of each read. */
function tableOf(rows: Row[]) {
  const reads: number[] = [];
  return {
    reads,
    rows,
    has: async (id: string) => rows.filter((row) => row.id === id).length,
    read: async ({ take, cursor }: { take: number; cursor?: { id: string } }) => {
      const from = cursor ? rows.findIndex(({ id }) => id === cursor.id) : 0;
      const found = from < 0 ? [] : rows.slice(from, from + take);
      reads.push(found.length);
      return found;
    },
    toRecord: ({ id }: Row) => id,
  };
}

const rowsOf = (count: number, characters: number): Row[] =>
  Array.from({ length: count }, (_, i) => ({ id: `${i}`, text: 'x'.repeat(characters) }));

/** All pages of the list, by following `has_more`. */
async function pagesOf(table: ReturnType<typeof tableOf>, limit: number): Promise<string[][]> {
  const pages: string[][] = [];
  for (let after: string | undefined; ; after = pages.at(-1)!.at(-1)) {
    const { data, hasMore } = await readPage({ limit, after }, table);
    pages.push(data);
    if (!hasMore) return pages;
  }
}

test('a page of long rows ends early, and the pages together are the list', async () => {
  const table = tableOf(rowsOf(60, 300_000));
  const pages = await pagesOf(table, 1000);
  assert.deepEqual(
    pages.map(({ length }) => length),
    [13, 13, 13, 13, 8],
  );
  assert.deepEqual(
    pages.flat(),
    table.rows.map(({ id }) => id),
  );
});

test('a row that is larger than a page is a page', async () => {
  const pages = await pagesOf(tableOf(rowsOf(3, 5 * 2 ** 20)), 20);
  assert.deepEqual(pages, [['0'], ['1'], ['2']]);
});

test('no read has more than a hundred rows, and a page of short rows is whole', async () => {
  const table = tableOf(rowsOf(2500, 10));
  const pages = await pagesOf(table, 1000);
  assert.deepEqual(
    pages.map(({ length }) => length),
    [1000, 1000, 500],
  );
  assert.ok(Math.max(...table.reads) <= 101);
  assert.equal(pages.flat().length, 2500);
});

test('the end of a list at the border of a read is its end', async () => {
  for (const count of [0, 1, 99, 100, 101, 200, 201])
    assert.equal((await pagesOf(tableOf(rowsOf(count, 1)), 1000)).flat().length, count);
});

test('a row that is deleted between two reads of a page is left out, and none after it', async () => {
  const table = tableOf(rowsOf(250, 1));
  const { read } = table;
  let reads = 0;
  table.read = async (page) => {
    if (++reads === 2) table.rows.splice(99, 1);
    return await read(page);
  };
  const { data, hasMore } = await readPage({ limit: 1000 }, table);
  assert.deepEqual([data.length, hasMore, data.includes('99')], [249, false, false]);
});
