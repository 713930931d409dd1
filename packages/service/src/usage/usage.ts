/**
 * Vocabulary
 * - ledger: one entry per use, written in the transaction of what it counts, and never changed. Usage is a sum of entries.
 * - kind: what is counted, in its unit: tokens, seconds of a device, or bytes, where an entry is the number added (+) or removed (-).
 * - subject: what an entry belongs to: a job, an attempt (`<job>/<lease epoch>`), a completion, a file, a part of an upload, a version.
 * - price: the operator's price for a unit of a kind, from a time on. An entry costs the price at its time.
 * - budget: what a team may spend in a calendar month. Days and months are those of UTC.
 */
import type { UsageKind } from '@graft/wire/lists';

/** The unit that a price of each kind applies to. */
export const priceUnits: Record<UsageKind, string> = {
  trained_tokens: '1,000,000 tokens',
  device_seconds: '1 hour',
  stored_bytes: '1 GiB for 1 day',
  input_tokens: '1,000,000 tokens',
  output_tokens: '1,000,000 tokens',
};

/** SQL: from a row of usage_prices, the price of one token, one second, or one byte for a day. */
export const priceOfOne = `price / (CASE kind WHEN 'device_seconds' THEN 3600 WHEN 'stored_bytes' THEN 1073741824 ELSE 1000000 END)`;

export const daySeconds = 24 * 3600;

/** Returns the last midnight (UTC) at or before a time. */
export function dayOf(time: Date): Date {
  return new Date(Date.UTC(time.getUTCFullYear(), time.getUTCMonth(), time.getUTCDate()));
}

/** Returns the first midnight (UTC) of the month `next` months after a time's month. */
export function monthOf(time: Date, next = 0): Date {
  return new Date(Date.UTC(time.getUTCFullYear(), time.getUTCMonth() + next, 1));
}
