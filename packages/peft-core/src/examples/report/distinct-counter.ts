import { hash } from 'node:crypto';

/** Initial number of slots; the table doubles when it is half full. */
const FIRST_SLOTS = 2 ** 10;
/** Maximum number of slots, of 12 bytes each: 96 MiB. At most half of them are used, for up to four million distinct texts. */
const MAX_SLOTS = 2 ** 23;

/**
 * Counts distinct texts in bounded memory: exactly up to four million, beyond that by a sample (Wegman's adaptive
 * sampling) to about a tenth of a per cent. Texts are identified by 64 bits of their SHA-256.
 */
export class DistinctCounter {
  readonly #maxSlots: number;
  #hashes = new BigUint64Array(FIRST_SLOTS);
  #lines = new Uint32Array(FIRST_SLOTS);
  #taken = 0;
  /** Only hashes that end with this many zero bits are kept. */
  #depth = 0n;

  /** `maxSlots`: a power of two. */
  constructor({ maxSlots = MAX_SLOTS }: { maxSlots?: number } = {}) {
    this.#maxSlots = maxSlots;
  }

  /** Adds the text of a line. Returns the first line with the same text, as far as known, or null. */
  add(text: string, line: number): number | null {
    const key = keyOf(text);
    if (!this.#isKept(key)) return null;
    const slot = this.#find(key);
    if (this.#hashes[slot] === key) return this.#lines[slot]!;
    this.#hashes[slot] = key;
    this.#lines[slot] = line;
    this.#taken++;
    if (this.#taken > this.#hashes.length / 2) this.#thin();
    return null;
  }

  /** Returns true if a text was added; when sampling, if it is in the sample. */
  has(text: string): boolean {
    const key = keyOf(text);
    return this.#isKept(key) && this.#hashes[this.#find(key)] === key;
  }

  get count(): number {
    return this.#taken * this.represented;
  }

  /** Number of texts that each text in the sample represents; 1 while counting exactly. */
  get represented(): number {
    return 2 ** Number(this.#depth);
  }

  /** True if `count` is exact. */
  get isExact(): boolean {
    return this.#depth === 0n;
  }

  #isKept(key: bigint): boolean {
    return BigInt.asUintN(Number(this.#depth), key) === 0n;
  }

  #find(key: bigint): number {
    const mask = this.#hashes.length - 1;
    // Sampling uses the low bits, so slots use the high bits.
    let slot = Number(key >> 32n) & mask;
    while (this.#hashes[slot] !== 0n && this.#hashes[slot] !== key) slot = (slot + 1) & mask;
    return slot;
  }

  #thin(): void {
    let slots = this.#hashes.length;
    if (slots < this.#maxSlots) slots *= 2;
    else this.#depth++;
    const [hashes, lines] = [this.#hashes, this.#lines];
    this.#hashes = new BigUint64Array(slots);
    this.#lines = new Uint32Array(slots);
    this.#taken = 0;
    for (const [i, key] of hashes.entries()) {
      if (key === 0n || !this.#isKept(key)) continue;
      const slot = this.#find(key);
      this.#hashes[slot] = key;
      this.#lines[slot] = lines[i]!;
      this.#taken++;
    }
  }
}

function keyOf(text: string): bigint {
  // 0 marks a free slot.
  return hash('sha256', text, 'buffer').readBigUInt64LE(0) || 1n << 63n;
}
