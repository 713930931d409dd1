/**
 * Requests that no client of good will sends, each of which must be answered 4xx, by a message that names what is wrong, and
 * must cost others nothing. A seed makes the same corpus again.
 */
import { hostileBodies } from './bodies.ts';
import type { HostileContext, HostileRequest } from './request.ts';
import { hostileUploads } from './uploads.ts';
import { hostileUrls } from './urls.ts';

/** Mulberry32: numbers from 0 to below 1. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function hostileCorpus(context: HostileContext, seed = 1): HostileRequest[] {
  const draw = random(seed);
  return [...hostileBodies(context, draw), ...hostileUrls(context), ...hostileUploads(draw)];
}
