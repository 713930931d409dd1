import type { PublicationTimes } from '../send/publication-sender.ts';

/** Settings with short delays. */
export const quick: Partial<PublicationTimes> = {
  pollMs: 20,
  leaseSeconds: 2,
  connectMs: 2_000,
  idleMs: 1_000,
  firstSeconds: 0.05,
  longestSeconds: 0.2,
};
