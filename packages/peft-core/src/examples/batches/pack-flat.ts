import { type Shareable, sharedPrefixes } from './shared-prefixes.ts';

/** A part of a sequence in a micro-batch's list of positions. */
export interface Piece {
  /** Index of the sequence. */
  sequence: number;
  /** Its first position in the list. */
  offset: number;
  /** Positions [from, to) of the sequence. */
  from: number;
  to: number;
  /** Where the positions before `from` are, which other sequences share. */
  prefix: { offset: number; length: number } | null;
  /** Whether the piece is such a prefix: its labels and tokens are counted with the other piece of its sequence. */
  shared: boolean;
}

/**
 * Arranges sequences in one list of positions instead of a grid: one after the other, without padding, each group with a common prefix
 * after that prefix. `shareable` returns a sequence's ids; without it nothing is shared.
 */
export function packFlat(
  sequences: ArrayLike<number>,
  widths: ArrayLike<number>,
  shareable: ((sequence: number) => Shareable) | null,
): { pieces: Piece[]; length: number } {
  const list = Array.from(sequences);
  const groups = shareable ? sharedPrefixes(list.map(shareable)) : [];
  const groupOf = new Map(groups.flatMap((group) => group.members.map((member) => [member, group] as const)));
  const pieces: Piece[] = [];
  let length = 0;
  const put = (sequence: number, from: number, to: number, prefix: Piece['prefix'], shared: boolean) => {
    pieces.push({ sequence, offset: length, from, to, prefix, shared });
    length += to - from;
  };
  const done = new Set<number>();
  for (const [at, sequence] of list.entries()) {
    if (done.has(at)) continue;
    const group = groupOf.get(at);
    if (!group) {
      put(sequence, 0, widths[sequence] as number, null, false);
      continue;
    }
    const prefix = { offset: length, length: group.length };
    put(sequence, 0, group.length, null, true);
    for (const member of group.members) {
      done.add(member);
      const own = list[member]!;
      put(own, group.length, widths[own] as number, prefix, false);
    }
  }
  return { pieces, length };
}

/** Maximum number of buffers for gradients of a prefix from the sequences that share it: kChainsOfPrefix of tf-graph's attention-ops.h. */
const CHAINS_OF_PREFIX = 8;

/** Positions for which attention with kernels stores gradients of keys: those of the list, and those of its prefixes once per chain. */
export function gradientPositions(pieces: readonly Piece[]): number {
  const sharers = new Map<number, { length: number; count: number }>();
  let positions = 0;
  for (const { from, to, prefix } of pieces) {
    positions += to - from;
    if (!prefix || to === from) continue;
    const sharing = sharers.get(prefix.offset) ?? { length: prefix.length, count: 0 };
    sharing.count++;
    sharers.set(prefix.offset, sharing);
  }
  for (const { length, count } of sharers.values()) positions += length * Math.min(count, CHAINS_OF_PREFIX);
  return positions;
}
