import type { PublicationTimes } from '../send/publication-sender.ts';

/** Settings with short delays. */
export const quick: Partial<PublicationTimes> = {
  pollMs: 20,
  leaseSeconds: 4,
  connectMs: 10_000,
  idleMs: 10_000,
  firstSeconds: 0.05,
  longestSeconds: 0.2,
};
