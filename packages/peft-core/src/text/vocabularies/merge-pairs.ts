/** Ids stay below this, so that a pair of them fits exactly into one number. */
export const PAIR_BASE = 2 ** 26;

/** Pairs of tokens that can be merged, by rank; the lowest rank is merged first. */
export interface PairRanks {
  /** Rank by `left * PAIR_BASE + right`. */
  byPair: Map<number, number>;
  /** The merged token of each rank's pair. */
  merged: Int32Array;
}

/** Null if a merge names a token that the vocabulary lacks. Merges that produce a token of `special` are skipped. */
export function pairRanks(
  merges: readonly unknown[],
  vocabulary: ReadonlyMap<string, number>,
  special: ReadonlySet<number>,
): PairRanks | null {
  const ranks: PairRanks = { byPair: new Map(), merged: new Int32Array(merges.length) };
  for (const [rank, merge] of merges.entries()) {
    const [left, right] = partsOfMerge(merge);
    const a = vocabulary.get(left ?? '');
    const b = vocabulary.get(right ?? '');
    const both = vocabulary.get(`${left}${right}`);
    if (a === undefined || b === undefined || both === undefined) return null;
    if (special.has(both)) continue;
    ranks.byPair.set(a * PAIR_BASE + b, rank);
    ranks.merged[rank] = both;
  }
  return ranks;
}

/** A merge is a list of two tokens, or a string with a space between them. */
export function partsOfMerge(merge: unknown): readonly (string | undefined)[] {
  return Array.isArray(merge) ? merge : String(merge).split(' ', 2);
}

/**
 * Merges neighbours of `ids` until no pair can be merged: always the pair with the lowest rank, leftmost first. O(n log n);
 * `ids` is overwritten.
 */
export function mergePairs(ids: Int32Array, ranks: PairRanks): number[] {
  const { length } = ids;
  if (length < 2) return [...ids];
  const next = new Int32Array(length);
  const previous = new Int32Array(length);
  const heap = new PairHeap(length * 2);
  const rankAt = (at: number): number => {
    const after = next[at]!;
    return after === length ? -1 : (ranks.byPair.get(ids[at]! * PAIR_BASE + ids[after]!) ?? -1);
  };
  const offer = (at: number): void => {
    const rank = rankAt(at);
    if (rank !== -1) heap.push(rank, at);
  };
  for (let i = 0; i < length; i++) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  for (let i = 0; i + 1 < length; i++) offer(i);

  while (heap.size > 0) {
    const rank = heap.topRank;
    const at = heap.pop();
    // The pair may have been removed or changed since it was added to the heap.
    if (ids[at] === GONE || rankAt(at) !== rank) continue;
    const gone = next[at]!;
    ids[at] = ranks.merged[rank]!;
    ids[gone] = GONE;
    const after = next[gone]!;
    next[at] = after;
    if (after !== length) previous[after] = at;
    offer(at);
    if (previous[at] !== -1) offer(previous[at]!);
  }
  const left: number[] = [];
  for (let at = 0; at < length; at = next[at]!) left.push(ids[at]!);
  return left;
}

const GONE = -1;

/** A binary heap of pairs, lowest rank first, then leftmost first. */
class PairHeap {
  size = 0;
  #ranks: Int32Array;
  #places: Int32Array;

  constructor(capacity: number) {
    this.#ranks = new Int32Array(capacity);
    this.#places = new Int32Array(capacity);
  }

  get topRank(): number {
    return this.#ranks[0]!;
  }

  push(rank: number, place: number): void {
    if (this.size === this.#ranks.length) this.#grow();
    const ranks = this.#ranks;
    const places = this.#places;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = ranks[parent]!;
      if (above < rank || (above === rank && places[parent]! <= place)) break;
      ranks[at] = above;
      places[at] = places[parent]!;
      at = parent;
    }
    ranks[at] = rank;
    places[at] = place;
  }

  /** Removes the first pair and returns its place. */
  pop(): number {
    const ranks = this.#ranks;
    const places = this.#places;
    const top = places[0]!;
    const size = --this.size;
    const rank = ranks[size]!;
    const place = places[size]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      const right = child + 1;
      if (
        right < size &&
        (ranks[right]! < ranks[child]! || (ranks[right] === ranks[child] && places[right]! < places[child]!))
      )
        child = right;
      const below = ranks[child]!;
      if (below > rank || (below === rank && places[child]! >= place)) break;
      ranks[at] = below;
      places[at] = places[child]!;
      at = child;
    }
    ranks[at] = rank;
    places[at] = place;
    return top;
  }

  #grow(): void {
    const capacity = this.#ranks.length * 2;
    const grown = (old: Int32Array) => {
      const wide = new Int32Array(capacity);
      wide.set(old);
      return wide;
    };
    this.#ranks = grown(this.#ranks);
    this.#places = grown(this.#places);
  }
}
