import { createHash } from 'node:crypto';

export type Row = Record<string, unknown>;
/** Returns the id of the row that is so named. */
export type Named = (name: string) => string;
/** Columns that every row of a team has. */
export interface Own extends Row {
  team_id: string;
  created_at: string;
}

export const at = '2026-08-02T03:04:05.678Z';
export const later = '2026-08-02T04:04:05.678Z';
/** 32 bytes in Postgres's hex format. */
export const hmac = (text: string): string => `\\x${createHash('sha256').update(text).digest('hex')}`;
