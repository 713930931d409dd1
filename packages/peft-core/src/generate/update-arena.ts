import type { HostTensor } from '../files.ts';
import type { LowRankUpdate } from '../tuners/tuner.ts';

/** An adapter's updates of low rank in an arena, which alone knows where they lie. */
export interface PlacedAdapter {
  /** Sequences that it answers. */
  users: number;
}

/**
 * The updates of low rank of many adapters in one place, so that rows of different adapters are computed together. Those that nobody
 * uses stay until their room is needed.
 */
export interface UpdateArena<Placed extends PlacedAdapter = PlacedAdapter> {
  /**
   * Writes an adapter's updates, by module, with their tensors. Null where there is no room beside those in use. Whoever uses what is
   * returned counts itself in `users` before anything else is placed.
   */
  place(
    updates: ReadonlyMap<string, LowRankUpdate>,
    tensor: (name: string) => HostTensor,
    forget: (gone: Placed) => void,
  ): Placed | null;
  /** It is the last to be forgotten. */
  touch(placed: Placed): void;
}
