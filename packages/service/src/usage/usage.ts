/**
 * Vocabulary
 * - ledger: every use as an entry, written in the transaction of what it counts, and never changed. Sums of it are what was used.
 * - kind: what is counted, in its own unit: tokens, seconds of a device, or bytes, of which an entry says how many came (+) or went (-).
 * - subject: what an entry is of: a job, an attempt (`<job>/<lease epoch>`), a completion, a file, a part of an upload, a version.
 * - price: what the operator asks for a unit of a kind, from a time on. An entry costs what was asked at its time.
 * - budget: what a team may spend in a calendar month. Days and months are those of UTC.
 */
export const usageKinds = [
  'trained_tokens',
  'device_seconds',
  'stored_bytes',
  'input_tokens',
  'output_tokens',
] as const;
export type UsageKind = (typeof usageKinds)[number];

/** What a price is for: so much of a kind. */
export const priceUnits: Record<UsageKind, string> = {
  trained_tokens: '1,000,000 tokens',
  device_seconds: '1 hour',
  stored_bytes: '1 GiB for 1 day',
  input_tokens: '1,000,000 tokens',
  output_tokens: '1,000,000 tokens',
};

/** SQL: of a row of usage_prices, the price of 1: of a token, a second, or a byte for a day. */
export const priceOfOne = `price / (CASE kind WHEN 'device_seconds' THEN 3600 WHEN 'stored_bytes' THEN 1073741824 ELSE 1000000 END)`;

export const daySeconds = 24 * 3600;

/** Midnight, in UTC, at or before a time. */
export function dayOf(time: Date): Date {
  return new Date(Date.UTC(time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate()));
}

/** The first midnight of a time's month, in UTC; `next`: of the one after. */
export function monthOf(time: Date, next = 0): Date {
  return new Date(Date.UTC(time.getUTCFullYear(), time.getUTCMonth() + next, 1));
}
