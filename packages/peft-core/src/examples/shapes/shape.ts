import type { Line } from '../formats/fields.ts';

/**
 * A shape of rows that other tools write. `shapes.ts` lists all; each is converted to a line of a format.
 */
export interface Shape {
  /** Name in reports. */
  name: string;
  /** For people: "ShareGPT conversations". */
  title: string;
  /** Names of its columns, the required ones first; others are not read. */
  columns: readonly string[];
  /** Those of them that a row has and that are not read. Default none. */
  unread?(row: Line): string[];
  sample: string;
  /** True if a row that also has fields of a format is of that format. */
  yields: boolean;
  matches(row: Line): boolean;
  /** The line of the format, or the row's fault: it names the column. */
  convert(row: Line): Line | string;
}
