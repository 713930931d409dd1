/** Building blocks of malicious base models: seeded random numbers, and invalid values. */

export type Json = Record<string, unknown>;
/** Seeded random numbers in [0, 1): mulberry32. */
export type Draw = () => number;

export function drawFrom(seed: number): Draw {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A change to one file of a valid model folder. */
export interface Change {
  name: string;
  file: string;
  content: string | Uint8Array | ((file: string) => Promise<void>);
  says: RegExp;
}

export const MiB = 1 << 20;
export const pick = <T>(draw: Draw, list: readonly T[]): T => list[Math.floor(draw() * list.length)]!;
export const between = (draw: Draw, low: number, high: number) => Math.floor(low + draw() * (high - low));
export const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
export const json = (value: unknown) => JSON.stringify(value);

/** Values that are invalid as a size, and as a token id. */
export const oddNumbers = [-1, -(2 ** 31), 0.5, 1e308, 2 ** 32, 2 ** 53, '7', true, [], {}] as const;
export const oddIds = [-2, -(2 ** 31), 0.5, 1e308, 2 ** 32, 2 ** 53, '7', true, {}] as const;
