import type { HostTensor } from '../../files.ts';
import type { LowRankUpdate } from '../../tuners/tuner.ts';

/** Handle to an adapter's low-rank updates in an arena. */
export interface PlacedAdapter {
  /** Number of sequences that use it. */
  users: number;
}

/**
 * Stores the low-rank updates of many adapters in one place, so that rows of different adapters are computed together. Unused updates
 * stay until their memory is needed.
 */
export interface UpdateArena<Placed extends PlacedAdapter = PlacedAdapter> {
  /**
   * Writes an adapter's updates, by module, with their tensors. Null if there is not enough memory beside those in use. The caller must
   * increment `users` of the result before anything else is placed.
   */
  place(
    updates: ReadonlyMap<string, LowRankUpdate>,
    tensor: (name: string) => HostTensor,
    forget: (gone: Placed) => void,
  ): Placed | null;
  /** Marks it as most recently used, so that it is evicted last. */
  touch(placed: Placed): void;
}

export interface PlacedRange extends PlacedAdapter {
  readonly begin: number;
  readonly size: number;
}

/** Divides an arena of `capacity` values into ranges. */
export class Ranges<Placed extends PlacedRange> {
  readonly #capacity: number;
  /** Those in use, least recently used first. */
  readonly #placed = new Set<Placed>();

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(placed: Placed): Placed {
    this.#placed.add(placed);
    return placed;
  }

  touch(placed: Placed): void {
    if (this.#placed.delete(placed)) this.#placed.add(placed);
  }

  /** Start of a free range of `size`, after evicting as many unused ones as needed, least recently used first; null if all are used. */
  free(size: number, forget: (gone: Placed) => void): number | null {
    for (;;) {
      let begin = 0;
      for (const placed of [...this.#placed].sort((a, b) => a.begin - b.begin)) {
        if (placed.begin - begin >= size) return begin;
        begin = placed.begin + placed.size;
      }
      if (this.#capacity - begin >= size) return begin;
      const [oldest] = [...this.#placed].filter(({ users }) => users === 0);
      if (!oldest) return null;
      this.#placed.delete(oldest);
      forget(oldest);
    }
  }
}
