import type { ResolvedTraining } from '../../config/index.ts';
import { validationCount } from '../../config/index.ts';
import { permutation, Random } from '../../random.ts';
import type { RawExample } from '../formats/formats.ts';
import type { TrainingExample } from '../training-example.ts';
import { placeOf, promptOf } from './prompt-place.ts';

/** Determines on which side of a split an example is. */
export interface Place {
  /** Place of its prompt in [0, 1): see `placeOf`. */
  at: number;
  /** The class of a text; null for other examples. */
  label: number | null;
}

type SplitOptions = Pick<ResolvedTraining, 'validation_split' | 'seed'> &
  Partial<Pick<ResolvedTraining, 'validation_seed'>>;

/** Null if places are not used: nothing is split off, or the job is of a version that split by line order. */
export function placeReader(
  { validation_split: share, validation_seed: seed }: SplitOptions,
  hasValidationFile: boolean,
): ((raw: RawExample, example: TrainingExample) => Place) | null {
  if (share === 0 || hasValidationFile || seed === undefined) return null;
  return (raw, { label = null }) => ({ at: placeOf(promptOf(raw), seed), label });
}

/**
 * Splits off about `validation_split` of a training file's examples. An example is held out if the place of its prompt is below that
 * share, so examples with the same prompt are on one side, and neither other lines nor the training seed move it. Exceptions, if there
 * are two prompts to choose from: each side has at least one example; each class has one example for training and, if its share is at
 * least one, one for validation. The exceptions are the examples whose places are nearest to the other side.
 *
 * `places` null: jobs of earlier versions hold out an exact share of the lines, by the training seed.
 */
export function split<T>(
  all: readonly T[],
  places: readonly Place[] | null,
  training: SplitOptions,
): { training: T[]; validation: T[] } {
  const isHeld = places ? heldPlaces(places, training.validation_split) : heldLines(all.length, training);
  return { training: all.filter((_, i) => !isHeld(i)), validation: all.filter((_, i) => isHeld(i)) };
}

function heldLines(
  examples: number,
  { validation_split: share, seed }: SplitOptions,
): (i: number) => boolean {
  const order = permutation(examples, new Random(seed, 'split'));
  const held = new Set(order.subarray(0, validationCount(examples, share)));
  return (i) => held.has(i);
}

/** Minimum and maximum of the places in a file or a class, and the number of examples. */
class Range {
  lowest = Number.POSITIVE_INFINITY;
  highest = Number.NEGATIVE_INFINITY;
  examples = 0;

  add(at: number): void {
    this.lowest = Math.min(this.lowest, at);
    this.highest = Math.max(this.highest, at);
    this.examples++;
  }
}

function heldPlaces(places: readonly Place[], share: number): (i: number) => boolean {
  if (share === 0) return () => false;
  const all = new Range();
  const classes = new Map<number, Range>();
  for (const { at, label } of places) {
    all.add(at);
    if (label === null) continue;
    if (!classes.has(label)) classes.set(label, new Range());
    classes.get(label)!.add(at);
  }
  const [toTraining, toValidation] = [new Set<number>(), new Set<number>()];
  for (const { lowest, highest, examples } of classes.values()) {
    if (lowest < share && highest < share) toTraining.add(highest);
    else if (lowest >= share && lowest < highest && examples * share >= 1) toValidation.add(lowest);
  }
  const isHeld = (at: number) => !toTraining.has(at) && (at < share || toValidation.has(at));
  const held = places.reduce((count, { at }) => count + (isHeld(at) ? 1 : 0), 0);
  // With only one prompt there is no choice: it is for training.
  if (held === 0 && all.lowest < all.highest) {
    toTraining.delete(all.lowest);
    toValidation.add(all.lowest);
  }
  if (held === places.length) toTraining.add(all.highest);
  return (i) => isHeld(places[i]!.at);
}
