import { type Shareable, sharedPrefixes } from './shared-prefixes.ts';

/** A part of a sequence in the list of a micro-batch's positions. */
export interface Piece {
  /** Its index. */
  sequence: number;
  /** Its first position in the list. */
  offset: number;
  /** Positions [from, to) of the sequence. */
  from: number;
  to: number;
  /** Where the positions before `from` are, that other sequences share. */
  prefix: { offset: number; length: number } | null;
  /** It is such a prefix itself: its labels and tokens are counted where the rest is. */
  shared: boolean;
}

/**
 * One list of positions instead of a grid: sequences one after the other, without padding, each group of them after the beginning
 * that it shares. `shareable` tells a sequence's ids; without it nothing is shared.
 */
export function layFlat(
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

/** Sequences that share a prefix add to its gradients in as many places at most: kChainsOfPrefix of tf-graph's attention-ops.h. */
const CHAINS_OF_PREFIX = 8;

/** Positions for which attention by kernels has memory for gradients of keys: those of the list, and of its prefixes once a chain. */
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
