import { permutation, Random } from '../../random.ts';

/** The files that an epoch's examples are of. The examples of all files are numbered in the order of the files. */
export interface MixedFiles {
  /** Number of examples of each file. */
  examples: readonly number[];
  /** Number of examples of each file in an epoch: `epochCounts`. */
  counts: readonly number[];
}

/** Maximum number of files whose orders are distinct random streams: the part of a stream is 16 · pass + file. */
const MAX_FILES = 16;

/**
 * The examples of each training epoch, in order: a pure function of files, seed and epoch. A file is read in passes, each a seeded
 * permutation of all its examples, and every epoch continues where the one before stopped; so no example comes a second time before
 * the whole file was seen. The examples of an epoch are then shuffled.
 */
export function mixedOrder({ examples, counts }: MixedFiles, seed: number): (epoch: number) => Int32Array {
  if (examples.length > MAX_FILES)
    throw new RangeError(`${examples.length} files; the limit is ${MAX_FILES}`);
  const length = counts.reduce((sum, count) => sum + count, 0);
  const firsts = examples.map((_, i) => examples.slice(0, i).reduce((sum, count) => sum + count, 0));
  return (epoch) => {
    const chosen = new Int32Array(length);
    let next = 0;
    for (const [file, size] of examples.entries()) {
      const start = epoch * counts[file]!;
      const end = start + counts[file]!;
      for (let at = start; at < end; ) {
        const pass = Math.floor(at / size);
        const order = permutation(size, new Random(seed, 'fileOrder', MAX_FILES * pass + file));
        const stop = Math.min(end, (pass + 1) * size);
        for (; at < stop; at++) chosen[next++] = firsts[file]! + order[at - pass * size]!;
      }
    }
    const shuffled = permutation(length, new Random(seed, 'mixture', epoch));
    return shuffled.map((place) => chosen[place]!);
  };
}
