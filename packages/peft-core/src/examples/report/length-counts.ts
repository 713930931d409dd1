/** A line has at most 4 MiB, and only special tokens are shorter than a byte. */
const MAX_LENGTH = 2 ** 22 + 2 ** 10;
const MAX_BINS = 24;

export interface LengthSummary {
  min: number;
  max: number;
  mean: number;
  p50: number;
  p90: number;
  p99: number;
  /** Adjacent ranges of equal width; each has lengths from `from` to `to`, both included. `longer`: number of examples longer than `to`. */
  histogram: { from: number; to: number; examples: number; longer: number }[];
}

/** Counts how often each length occurs: at most 16 MiB. */
export class LengthCounts {
  #counts = new Uint32Array(2 ** 10);
  #max = 0;
  #examples = 0;
  #sum = 0;

  add(length: number): void {
    const at = Math.min(length, MAX_LENGTH);
    if (at >= this.#counts.length) {
      const larger = new Uint32Array(2 ** Math.ceil(Math.log2(at + 1)));
      larger.set(this.#counts);
      this.#counts = larger;
    }
    this.#counts[at]!++;
    this.#max = Math.max(this.#max, at);
    this.#examples++;
    this.#sum += length;
  }

  /** Number of examples longer than `limit`. */
  over(limit: number): number {
    let examples = 0;
    for (let length = limit + 1; length <= this.#max; length++) examples += this.#counts[length]!;
    return examples;
  }

  /** Null if nothing was counted. */
  summary(): LengthSummary | null {
    if (this.#examples === 0) return null;
    const min = this.#counts.findIndex((count) => count > 0);
    const width = niceWidth(this.#max - min + 1);
    const first = Math.floor(min / width) * width;
    const histogram: LengthSummary['histogram'] = [];
    let longer = this.#examples;
    for (let from = first; from <= this.#max; from += width) {
      const examples = this.#counts.subarray(from, from + width).reduce((sum, count) => sum + count, 0);
      longer -= examples;
      histogram.push({ from, to: from + width - 1, examples, longer });
    }
    return {
      min,
      max: this.#max,
      mean: this.#sum / this.#examples,
      p50: this.#quantile(0.5),
      p90: this.#quantile(0.9),
      p99: this.#quantile(0.99),
      histogram,
    };
  }

  /** The smallest length that this share of the examples does not exceed. */
  #quantile(part: number): number {
    const wanted = Math.ceil(part * this.#examples);
    let seen = 0;
    for (let length = 0; length <= this.#max; length++) {
      seen += this.#counts[length]!;
      if (seen >= wanted) return length;
    }
    return this.#max;
  }
}

/** 1, 2 or 5 times a power of ten, so that `span` lengths need at most MAX_BINS bins. */
function niceWidth(span: number): number {
  for (let power = 1; ; power *= 10) {
    for (const step of [1, 2, 5]) {
      // A span that starts in the middle of a bin needs one more.
      if (Math.ceil(span / (power * step)) < MAX_BINS) return power * step;
    }
  }
}
