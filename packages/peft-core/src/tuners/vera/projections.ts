import type { SharedSizes } from './tensors.ts';

/**
 * The projections that belong to a key: Kaiming-uniform numbers, first those of A, then those of B, equal to HF PEFT's in every bit.
 * Source: peft 0.21.2, tuners/vera/model.py (_kaiming_init, _init_vera_A_vera_B).
 */
export function drawProjections(
  key: number,
  { rank, width, out }: SharedSizes,
): { a: Float32Array; b: Float32Array } {
  const generator = new TorchGenerator(key);
  return {
    a: generator.uniform(rank * width, kaimingBound(width)),
    b: generator.uniform(out * rank, kaimingBound(rank)),
  };
}

/** In the order of PEFT's operations: the last bit counts. */
const kaimingBound = (fanIn: number): number => Math.sqrt(3) * (Math.SQRT2 / Math.sqrt(fanIn));

/**
 * The numbers that `torch.Tensor.uniform_` draws on a CPU, bit by bit.
 * Sources: PyTorch 2.13, ATen/core/MT19937RNGEngine.h, ATen/core/TransformationHelper.h (uniform_real), native/cpu/DistributionTemplates.h.
 */

const LENGTH = 624;
const MIDDLE = 397;
const HIGH_BIT = 0x80000000;
const LOW_BITS = 0x7fffffff;
const TWIST = 0x9908b0df;

/** A float32 in [0, 1) has 24 random bits. */
const BITS = 24;

/**
 * A generator like `torch.Generator().manual_seed(seed)`: the Mersenne Twister, seeded with the low 32 bits. Source: Matsumoto
 * and Nishimura 1998, doi:10.1145/272991.272995.
 */
class TorchGenerator {
  readonly #state = new Uint32Array(LENGTH);
  #next = LENGTH;

  /** `seed` may be negative, as in PyTorch. */
  constructor(seed: number) {
    this.#state[0] = Number(BigInt.asUintN(32, BigInt(seed)));
    for (let i = 1; i < LENGTH; i++) {
      const before = this.#state[i - 1]!;
      this.#state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
  }

  /**
   * `length` numbers from −bound to bound. PyTorch computes them in float32, and with one rounding: its builds for AVX2 and AVX-512 multiply
   * and add in one operation. A CPU without it rounds the product, too, so that half of its numbers differ in their last bit.
   */
  uniform(length: number, bound: number): Float32Array {
    const from = Math.fround(-bound);
    const range = Math.fround(Math.fround(bound) - from);
    const values = new Float32Array(length);
    // The product and the sum are exact in 53 bits.
    for (let i = 0; i < length; i++) values[i] = ((this.#draw() & LOW_24) / 2 ** BITS) * range + from;
    return values;
  }

  /** The next 32 bits, as a signed integer. */
  #draw(): number {
    if (this.#next === LENGTH) this.#twist();
    let bits = this.#state[this.#next++]!;
    bits ^= bits >>> 11;
    bits ^= (bits << 7) & 0x9d2c5680;
    bits ^= (bits << 15) & 0xefc60000;
    return bits ^ (bits >>> 18);
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < LENGTH; i++) {
      const mixed = (state[i]! & HIGH_BIT) | (state[(i + 1) % LENGTH]! & LOW_BITS);
      state[i] = state[(i + MIDDLE) % LENGTH]! ^ (mixed >>> 1) ^ (mixed & 1 ? TWIST : 0);
    }
    this.#next = 0;
  }
}

const LOW_24 = 2 ** BITS - 1;
