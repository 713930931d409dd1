import { firstSequence, type NestedMember, nestedPrefixes, type Shareable } from './shared-prefixes.ts';

/** A part of a sequence in a micro-batch's list of positions. */
export interface Piece {
  /** Index of the sequence. */
  sequence: number;
  /** Its first position in the list. */
  offset: number;
  /** Positions [from, to) of the sequence. */
  from: number;
  to: number;
  /** The piece that has the positions before `from`, or the last of them: others share it. Pieces with a parent follow it. */
  parent: Piece | null;
  /** Whether the piece is such a prefix: its labels and tokens are counted with the other piece of its sequence. */
  shared: boolean;
}

/**
 * Arranges sequences in one list of positions instead of a grid: one after the other, without padding, each group with a common prefix
 * directly after that prefix. `shareable` returns a sequence's ids; without it nothing is shared.
 */
export function packFlat(
  sequences: ArrayLike<number>,
  widths: ArrayLike<number>,
  shareable: ((sequence: number) => Shareable) | null,
): { pieces: Piece[]; length: number } {
  const list = Array.from(sequences);
  const pieces: Piece[] = [];
  let length = 0;
  function put(member: NestedMember, parent: Piece | null): void {
    const sequence = list[firstSequence(member)]!;
    const shared = typeof member !== 'number';
    const [from, to] = [parent?.to ?? 0, shared ? member.length : (widths[sequence] as number)];
    const piece = { sequence, offset: length, from, to, parent, shared };
    pieces.push(piece);
    length += to - from;
    if (shared) for (const each of member.members) put(each, piece);
  }
  const all = shareable ? nestedPrefixes(list.map(shareable)) : list.map((_, at) => at);
  for (const member of all) put(member, null);
  return { pieces, length };
}

/** Place in the list of position `t` of a piece's sequence. */
export function placeOf(piece: Pick<Piece, 'offset' | 'from' | 'parent'>, t: number): number {
  return t < piece.from && piece.parent ? placeOf(piece.parent, t) : piece.offset + t - piece.from;
}

/** Maximum number of buffers for gradients of an outermost prefix: kChainsOfPrefix of tf-graph's attention-ops.h. */
const CHAINS_OF_PREFIX = 8;

/**
 * Positions for which attention with kernels stores gradients of keys: those of the list, and those of its outermost prefixes once per
 * chain. A prefix within another is in one chain with those that share it, which add to its own gradients.
 */
export function gradientPositions(pieces: readonly Piece[]): number {
  const sharers = new Map<Piece, number>();
  let positions = 0;
  for (const { from, to, parent } of pieces) {
    positions += to - from;
    if (!parent || parent.parent || to === from) continue;
    sharers.set(parent, (sharers.get(parent) ?? 0) + 1);
  }
  for (const [{ to }, count] of sharers) positions += to * Math.min(count, CHAINS_OF_PREFIX);
  return positions;
}
