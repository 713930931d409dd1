/**
 * Random numbers that are a pure function of (seed, use, part, index). Resuming therefore needs no stored state, and any number can be
 * computed without those before it.
 *
 * Algorithm: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), which TensorFlow's stateless ops also
 * use. Key = seed (low, high word); counter = (block low, block high, use, part). A block gives two uniforms: words 0 and 1 make
 * number 2·block, words 2 and 3 number 2·block + 1.
 *
 * One key maps different counters to different blocks, so two streams of one seed are distinct if their use or part differs.
 * Dropout draws within TensorFlow, with keys that are a hash of the seed: see random.test.ts.
 */
/** Each multiplier as its high and low half. */
const MULTIPLIERS = [
  [0xd251, 0x1f53],
  [0xcd9e, 0x8d57],
] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

/** All uses of random numbers, with their number in the counter. A new use needs a new number. */
const USES = {
  /** Start values of parameters. Part: the parameter's index in the adapter. */
  startValues: 0,
  /** The next token of an answer. */
  sampling: 1,
  /** The order of examples. Part: the training epoch, from 0. */
  order: 2,
  /** The examples held out for validation. */
  split: 3,
  /** Weights and values in tests. Part: chosen by the test. */
  test: 4,
  /** The order of one file's examples in a mixture. Part: 16 · pass over the file + file, both from 0. */
  fileOrder: 5,
  /** The order of a mixture's examples in an epoch. Part: the training epoch, from 0. */
  mixture: 6,
  /** The order in which judged completions form batches. */
  groups: 7,
  /** The numbers of an adapter's matrix that a combination drops. Part: the matrix and the adapter. */
  dropping: 8,
  /** The order of the examples whose layers' inputs are read before training, and the bases of their decompositions. Part: 0, or 1 + the number of a basis. */
  inputs: 9,
} as const;
export type RandomUse = keyof typeof USES;
export const RANDOM_USES = Object.keys(USES) as RandomUse[];

/** One Philox block: 128-bit counter and 64-bit key, as 32-bit words, low word first. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  const block = new Uint32Array(4);
  drawBlock(block, ...counter, ...key);
  return [block[0]!, block[1]!, block[2]!, block[3]!];
}

/** Computes in 32-bit integers only, which is several times as fast as 53-bit arithmetic. */
function drawBlock(
  block: Uint32Array,
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
): void {
  const [[m0High, m0Low], [m1High, m1Low]] = MULTIPLIERS;
  const m0 = (m0High << 16) | m0Low;
  const m1 = (m1High << 16) | m1Low;
  let w0 = c0 | 0;
  let w1 = c1 | 0;
  let w2 = c2 | 0;
  let w3 = c3 | 0;
  let key0 = k0 | 0;
  let key1 = k1 | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(w0, m0High, m0Low);
    const low0 = Math.imul(w0, m0);
    const high1 = multiplyHigh(w2, m1High, m1Low);
    const low1 = Math.imul(w2, m1);
    w0 = high1 ^ w1 ^ key0;
    w1 = low1;
    w2 = high0 ^ w3 ^ key1;
    w3 = low0;
    key0 = (key0 + WEYL[0]) | 0;
    key1 = (key1 + WEYL[1]) | 0;
  }
  block[0] = w0;
  block[1] = w1;
  block[2] = w2;
  block[3] = w3;
}

export class Random {
  readonly #key: readonly [number, number];
  readonly #use: number;
  readonly #part: number;
  #index = 0;
  readonly #block = new Uint32Array(4);

  /** seed: an integer from 0 below 2^53. part: an integer from 0 below 2^32, for uses with several streams. */
  constructor(seed: number, use: RandomUse, part = 0) {
    this.#key = words(seed);
    this.#use = USES[use];
    this.#part = part;
  }

  /** The next number in [0, 1), a multiple of 2^-53. */
  uniform(): number {
    const odd = this.#index % 2;
    if (odd === 0) {
      const block = this.#index / 2;
      const [low, high] = this.#key;
      drawBlock(this.#block, block, Math.floor(block / 2 ** 32), this.#use, this.#part, low, high);
    }
    this.#index++;
    const high = this.#block[2 * odd]! >>> 5;
    const low = this.#block[2 * odd + 1]! >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  }

  /** The next number of a standard normal distribution (Box and Muller 1958; consumes two uniforms). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** The next integer in [0, bound). */
  integer(bound: number): number {
    return Math.floor(this.uniform() * bound);
  }
}

/** A uniformly random order of 0 … n-1 (Fisher and Yates, from the end). */
export function permutation(n: number, random: Random): Int32Array {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    const kept = order[i] as number;
    order[i] = order[j] as number;
    order[j] = kept;
  }
  return order;
}

/** High 32 bits of the product of a and a multiplier in two halves, as a signed integer. No sum of halves exceeds 32 bits. */
function multiplyHigh(a: number, high: number, low: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const first = (Math.imul(aHigh, low) + (Math.imul(aLow, low) >>> 16)) | 0;
  const second = (Math.imul(aLow, high) + (first & 0xffff)) | 0;
  return (Math.imul(aHigh, high) + (first >>> 16) + (second >>> 16)) | 0;
}

function words(value: number): [number, number] {
  return [value >>> 0, Math.floor(value / 2 ** 32) >>> 0];
}
