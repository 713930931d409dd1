/**
 * Random numbers that are a pure function of (seed, use, part, index). So resuming needs no stored state, and any number can be
 * computed without those before it.
 *
 * Algorithm: Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; TensorFlow's stateless ops use it
 * too). Key = seed (low, high word); counter = (block low, block high, use, part). A block gives two uniforms: words 0 and 1 make
 * number 2·block, words 2 and 3 number 2·block + 1.
 *
 * One key maps different counters to different blocks. So two streams of one seed are distinct when their use or part differs.
 * Dropout draws within TensorFlow, under keys that are a hash of the seed: see random.test.ts.
 */
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const WEYL = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

/** Everything that draws random numbers, and its number in the counter. A new use takes a new number. */
const USES = {
  /** Values before the first step. Part: the parameter's place in the adapter. */
  startValues: 0,
  /** The next token of an answer. */
  sampling: 1,
  /** Which example comes when. Part: the training epoch, from 0. */
  order: 2,
  /** Which examples are held out for validation. */
  split: 3,
  /** Weights and values of tests. Part: what the test counts. */
  test: 4,
} as const;
export type RandomUse = keyof typeof USES;
export const RANDOM_USES = Object.keys(USES) as RandomUse[];

/** One Philox block: 128-bit counter and 64-bit key, as 32-bit words, low word first. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(c0, MULTIPLIERS[0]);
    const low0 = Math.imul(c0, MULTIPLIERS[0]);
    const high1 = multiplyHigh(c2, MULTIPLIERS[1]);
    const low1 = Math.imul(c2, MULTIPLIERS[1]);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + WEYL[0]) >>> 0;
    k1 = (k1 + WEYL[1]) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** One random stream: its numbers, one after the other. */
export class Random {
  readonly #key: readonly [number, number];
  readonly #use: number;
  readonly #part: number;
  #index = 0;
  #block: readonly number[] = [];

  /** seed: an integer from 0 below 2^53. part: an integer from 0 below 2^32, for a use that takes several streams. */
  constructor(seed: number, use: RandomUse, part = 0) {
    this.#key = words(seed);
    this.#use = USES[use];
    this.#part = part;
  }

  /** The next number in [0, 1), a multiple of 2^-53. */
  uniform(): number {
    const odd = this.#index % 2;
    if (odd === 0) {
      const [low, high] = words(this.#index / 2);
      this.#block = philox4x32([low, high, this.#use, this.#part], this.#key);
    }
    this.#index++;
    const high = (this.#block[2 * odd] as number) >>> 5;
    const low = (this.#block[2 * odd + 1] as number) >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  }

  /** The next number of a standard normal distribution (Box and Muller 1958; takes two uniforms). */
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

/** High 32 bits of a 32 × 32 bit product; the two partial products stay below 2^53. */
function multiplyHigh(a: number, b: number): number {
  const low = a * (b & 0xffff);
  return Math.floor((a * (b >>> 16) + Math.floor(low / 0x10000)) / 0x10000);
}

function words(value: number): [number, number] {
  return [value >>> 0, Math.floor(value / 2 ** 32) >>> 0];
}
