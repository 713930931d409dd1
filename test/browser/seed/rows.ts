/** Inserts rows into any table, with very long texts, to test the layout of pages. */
import type { BrowserBench } from '../browser-bench.ts';

const texts = [
  // No break opportunities.
  'Donaudampfschifffahrtsgesellschaftskapitän'.repeat(6),
  'a very long name with many words that does not fit into any table cell '.repeat(4).trim(),
  // Right to left, which must not affect the text beside it.
  'هذا اسم طويل جدا لا ينتهي ولا يقرؤه أحد '.repeat(6).trim(),
  // Characters of many code points.
  '👩‍👩‍👧‍👦🚀🏳️‍🌈'.repeat(25),
  'short',
];
/** A sample text, always the same for a number. */
export const text = (n: number) => `${texts[n % texts.length]} ${n}`;
/** A name of up to the maximum length of job, adapter and tag names. */
export const name = (n: number) =>
  `${'name-without-an-end.'.repeat(n % 3)}${n}`.padEnd(n % 2 === 0 ? 64 : 1, '_');
export const digest = 'c'.repeat(64);
export const many = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n));
/** The time `n` hours ago. */
export const ago = (n: number) => new Date(Date.now() - n * 3_600_000).toISOString();
export const inDays = (n: number) => new Date(Date.now() + n * 86_400_000).toISOString();

type Row = Record<string, unknown>;

export function insertsInto({ services: { sql } }: BrowserBench) {
  return {
    /** Missing columns get the table's defaults. */
    add: async (table: string, rows: readonly Row[]) => {
      if (rows.length === 0) return;
      const names = Object.keys(rows[0]!).join();
      await sql.query(
        `INSERT INTO ${table} (${names}) SELECT ${names} FROM jsonb_populate_recordset(NULL::${table}, $1::jsonb)`,
        [JSON.stringify(rows)],
      );
    },
    /** Missing columns are copied from an existing row. */
    copy: async (table: string, id: string, rows: readonly Row[]) => {
      await sql.query(
        `INSERT INTO ${table} SELECT (jsonb_populate_record(t, r)).* FROM ${table} t, jsonb_array_elements($2::jsonb) r WHERE t.id = $1`,
        [id, JSON.stringify(rows)],
      );
    },
  };
}
