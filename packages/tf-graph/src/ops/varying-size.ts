// Supports one axis per function whose size is known only when it runs. tfjs needs numbers: while the function is traced, a prime
// represents the size, so that sizes that depend on it are recognised as multiples of the prime.
import { tf } from '../tensorflow.ts';

/** Thrown when a constant, or an op that takes sizes as numbers, would fix the varying size. */
export class VaryingSizeError extends Error {}

const primes = [10_133, 11_351, 12_391, 13_679, 14_741];
/** A size that differs from a multiple by at most this was derived from one. */
const tolerance = 32;

/** Returns a prime that represents the varying size while tracing, and that no given size is close to a multiple of. */
export function chooseStandIn(sizes: Iterable<number>): number {
  const all = [...sizes];
  const found = primes.find((prime) => all.every((size) => !dependsOn(size, prime)));
  if (found === undefined)
    throw new VaryingSizeError(
      `the sizes must not all be close to multiples of ${primes.join(', ')}, which represent the size that varies`,
    );
  return found;
}

function dependsOn(size: number, standIn: number): boolean {
  const over = size % standIn;
  return size >= standIn - tolerance && (over <= tolerance || over >= standIn - tolerance);
}

/** Throws if the static shape of a constant or an op depends on the varying size. */
export function checkStaticShape(what: string, shape: readonly number[], standIn: number): void {
  if (shape.some((size) => dependsOn(size, standIn)))
    throw new VaryingSizeError(`${what} of shape [${shape}] would fix the size that varies`);
}

/** Tensors with more values than this are not treated as lists of sizes. */
const longestSizes = 16;

/**
 * Returns the inputs of a tfjs kernel's op in which sizes that depend on the varying size are replaced by −1, which TensorFlow resolves:
 * the new shape of Reshape, and sizes of Slice where it starts at 0.
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
    // In a tensor or an axis that does not vary, such a number is a coincidence.
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
