const MAX_WEIGHT = 10;
/** Smaller weights, multiplied with each other and divided by the sum of all, would leave the range of float32. */
const MIN_WEIGHT = 1e-9;

/** The weights that `isWeight` accepts, in words. */
export const WEIGHT_RANGE = `a number from 0 to ${MAX_WEIGHT}, and at least ${MIN_WEIGHT} if it is not 0`;

/** Returns true if `value` is a weight of an example or a message in the loss. */
export const isWeight = (value: unknown): value is number =>
  typeof value === 'number' && (value === 0 || (value >= MIN_WEIGHT && value <= MAX_WEIGHT));
