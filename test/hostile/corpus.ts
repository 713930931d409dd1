/**
 * Requests that no well-behaved client sends. Each must get a 4xx answer whose message names the fault, without affecting other
 * clients. The same seed gives the same requests.
 */
import { hostileBodies } from './bodies.ts';
import type { HostileContext, HostileRequest } from './request.ts';
import { hostileUploads } from './uploads.ts';
import { hostileUrls } from './urls.ts';

/** Random numbers in [0, 1): mulberry32. */
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
