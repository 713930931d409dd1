import { show } from './check-fields.ts';

const MAX_WEIGHT = 10;
/** Smaller weights, multiplied with each other and divided by the sum of all, would leave the range of float32. */
const MIN_WEIGHT = 1e-9;

/** Why `value` is no weight of an example or a message in the loss; null if it is one. */
export function weightFault(value: unknown): string | null {
  const isWeight = typeof value === 'number' && (value === 0 || (value >= MIN_WEIGHT && value <= MAX_WEIGHT));
  if (isWeight) return null;
  const tiny = typeof value === 'number' && value > 0 && value < MIN_WEIGHT;
  return `must be a number from 0 to ${MAX_WEIGHT}${tiny ? `, and 0 or at least ${MIN_WEIGHT}` : ''}, got ${show(value)}`;
}
