// One axis of a function whose size is known only when it runs. tfjs wants numbers: while the function is traced a prime stands
// for the size, so that every size that depends on it is told by being a multiple.
import { tf } from '../tensorflow.ts';

/** Something would have fixed the varying size: a constant, or an operation that takes sizes as numbers. */
export class VaryingSizeError extends Error {}

const primes = [10_133, 11_351, 12_391, 13_679, 14_741];
/** A size that is so much more or less than a multiple was made of one. */
const near = 32;

/** What stands for the varying size beside these sizes, none of which could be taken for one made of it. */
export function standInBeside(sizes: Iterable<number>): number {
  const all = [...sizes];
  const found = primes.find((prime) => all.every((size) => !dependsOn(size, prime)));
  if (found === undefined)
    throw new VaryingSizeError(`none of ${primes.join(', ')} can stand beside the sizes`);
  return found;
}

function dependsOn(size: number, standIn: number): boolean {
  const over = size % standIn;
  return size >= standIn - near && (over <= near || over >= standIn - near);
}

/** Throws when a constant's, or an op's static shape depends on the varying size. */
export function refuseStatic(what: string, shape: readonly number[], standIn: number): void {
  if (shape.some((size) => dependsOn(size, standIn)))
    throw new VaryingSizeError(`${what} of shape [${shape}] would fix the size that varies`);
}

/** Sizes are told by lists no longer than this. */
const longestSizes = 16;

/**
 * The inputs of a tfjs kernel's op with sizes that depend on the varying one made −1, which TensorFlow fills in: the new shape of
 * Reshape, and the sizes of Slice where it begins at 0.
 */
export function withOpenSizes(
  op: string,
  inputs: tf.TensorInfo[],
  standIn: number,
  hostValues: (input: tf.TensorInfo) => ArrayLike<number> | null,
): tf.TensorInfo[] {
  const [{ shape }] = inputs as [tf.TensorInfo];
  const varies = shape.map((size) => dependsOn(size, standIn));
  return inputs.map((input, at) => {
    const values = hostValues(input);
    if (!values || values.length > longestSizes) return input;
    // A number like that among those of an axis, or a tensor, that does not vary is one by chance.
    if (op === 'Reshape' && !varies.includes(true)) return input;
    const sizes = Array.from(values);
    const open = sizes.flatMap((size, i) =>
      dependsOn(size, standIn) && (op !== 'Slice' || varies[i]) ? [i] : [],
    );
    if (open.length === 0) return input;
    const whole = open.every((i) => sizes[i]! % standIn === 0);
    const reshapes = op === 'Reshape' && at === 1 && open.length === 1 && whole;
    const begins = op === 'Slice' && at === 2 ? hostValues(inputs[1]!) : null;
    const slices = begins !== null && open.every((i) => begins[i] === 0 && sizes[i] === standIn);
    if (!reshapes && !slices) throw new VaryingSizeError(`${op} would fix the size that varies`);
    return tf.tensor1d(
      sizes.map((size, i) => (open.includes(i) ? -1 : size)),
      'int32',
    );
  });
}
