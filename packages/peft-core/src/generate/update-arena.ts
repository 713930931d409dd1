import type { HostTensor } from '../files.ts';
import type { LowRankUpdate } from '../tuners/tuner.ts';

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
