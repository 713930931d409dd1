/** Rows of any table, made past the API, with texts far too long: what pages must hold. */
import type { BrowserBench } from './browser-bench.ts';

const sayings = [
  // Nothing to break it at.
  'Donaudampfschifffahrtsgesellschaftskapitän'.repeat(6),
  'a name that goes on and on until nobody wants to read it any more '.repeat(4).trim(),
  // From right to left, which must not turn what stands beside it.
  'هذا اسم طويل جدا لا ينتهي ولا يقرؤه أحد '.repeat(6).trim(),
  // Of many code points each.
  '👩‍👩‍👧‍👦🚀🏳️‍🌈'.repeat(25),
  'short',
];
/** A text of people, the same for the same number. */
export const text = (n: number) => `${sayings[n % sayings.length]} ${n}`;
/** As long as the name of a job, an adapter or a tag may be. */
export const name = (n: number) =>
  `${'name-without-an-end.'.repeat(n % 3)}${n}`.padEnd(n % 2 === 0 ? 64 : 1, '_');
export const digest = 'c'.repeat(64);
export const many = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n));
/** Some time ago, each a little longer. */
export const ago = (n: number) => new Date(Date.now() - n * 3_600_000).toISOString();
export const inDays = (n: number) => new Date(Date.now() + n * 86_400_000).toISOString();

type Row = Record<string, unknown>;

export function insertsInto({ services: { sql } }: BrowserBench) {
  return {
    /** What is not given is as the table has it by itself. */
    add: async (table: string, rows: readonly Row[]) => {
      if (rows.length === 0) return;
      const names = Object.keys(rows[0]!).join();
      await sql.query(
        `INSERT INTO ${table} (${names}) SELECT ${names} FROM jsonb_populate_recordset(NULL::${table}, $1::jsonb)`,
        [JSON.stringify(rows)],
      );
    },
    /** What is not given is as in the row that is there. */
    copy: async (table: string, id: string, rows: readonly Row[]) => {
      await sql.query(
        `INSERT INTO ${table} SELECT (jsonb_populate_record(t, r)).* FROM ${table} t, jsonb_array_elements($2::jsonb) r WHERE t.id = $1`,
        [id, JSON.stringify(rows)],
      );
    },
  };
}
