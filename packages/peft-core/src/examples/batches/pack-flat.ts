import { type NestedGroup, nestedPrefixes, type PrefixGroup, type Shareable } from './shared-prefixes.ts';

/** Positions of a list with which several sequences begin: positions [from, to) of each of them. */
export interface Prefix {
  /** Its first position in the list. */
  offset: number;
  from: number;
  to: number;
  /** Where the positions before `from` are; null where `from` is 0. */
  before: Prefix | null;
}

/** A part of a sequence in a micro-batch's list of positions. */
export interface Piece {
  sequence: number;
  /** Its first position in the list. */
  offset: number;
  /** Positions [from, to) of the sequence. */
  from: number;
  to: number;
  /** Where the positions before `from` are, which other sequences share. */
  prefix: Prefix | null;
  /** True if the piece is such a prefix: its labels and tokens are counted with the other piece of its sequence. */
  shared: boolean;
}

/**
 * Arranges sequences in one list of positions instead of a grid: one after the other, without padding, each group with a common prefix
 * after that prefix, which may follow the prefix of a larger group. `shareable` returns a sequence's ids; without it nothing is shared.
 */
export function packFlat(
  sequences: ArrayLike<number>,
  widths: ArrayLike<number>,
  shareable: ((sequence: number) => Shareable) | null,
): { pieces: Piece[]; length: number } {
  const list = Array.from(sequences);
  const groups = shareable ? nestedPrefixes(list.map(shareable)) : [];
  const groupOf = byMember(groups);
  const pieces: Piece[] = [];
  let length = 0;
  const put = (sequence: number, from: number, to: number, prefix: Piece['prefix'], shared: boolean) => {
    pieces.push({ sequence, offset: length, from, to, prefix, shared });
    length += to - from;
  };
  /** The members, of which `groupOf` names the groups, after a prefix of all of them. */
  const putAll = (
    members: Iterable<number>,
    prefix: Prefix | null,
    groupOf: ReadonlyMap<number, PrefixGroup | NestedGroup>,
  ) => {
    const done = new Set<PrefixGroup>();
    const from = prefix?.to ?? 0;
    for (const member of members) {
      const group = groupOf.get(member);
      const sequence = list[member]!;
      if (!group) put(sequence, from, widths[sequence] as number, prefix, false);
      if (!group || done.has(group)) continue;
      done.add(group);
      const shared = { offset: length, from, to: group.length, before: prefix };
      put(sequence, from, group.length, prefix, true);
      putAll(group.members, shared, 'inner' in group ? byMember(group.inner) : new Map());
    }
  };
  putAll(list.keys(), null, groupOf);
  return { pieces, length };
}

const byMember = <G extends PrefixGroup>(groups: readonly G[]): Map<number, G> =>
  new Map(groups.flatMap((group) => group.members.map((member) => [member, group] as const)));

/** Where position `t` of a piece's sequence is in the list. */
export function placeOf(
  { offset, from, prefix }: Pick<Piece, 'offset' | 'from' | 'prefix'>,
  t: number,
): number {
  let own: { offset: number; from: number; before?: Prefix | null } = { offset, from, before: prefix };
  while (t < own.from) own = own.before!;
  return own.offset + t - own.from;
}

/** Maximum number of buffers for gradients of a prefix from the sequences that share it: kChainsOfPrefix of tf-graph's attention-ops.h. */
const CHAINS_OF_PREFIX = 8;

/**
 * Positions for which attention with kernels stores gradients of keys: those of the list, those of outer prefixes once per chain of
 * sequences, and those of inner ones once for each change of it within a chain.
 */
export function gradientPositions(pieces: readonly Piece[]): number {
  const sharers = new Map<number, { outer: Prefix; inner: (Prefix | null)[] }>();
  let positions = 0;
  for (const { from, to, prefix } of pieces) {
    positions += to - from;
    if (!prefix || to === from) continue;
    const outer = prefix.before ?? prefix;
    const sharing = sharers.get(outer.offset) ?? { outer, inner: [] };
    sharing.inner.push(prefix.before ? prefix : null);
    sharers.set(outer.offset, sharing);
  }
  for (const { outer, inner } of sharers.values()) {
    const count = Math.min(inner.length, CHAINS_OF_PREFIX);
    positions += outer.to * count;
    for (let chain = 0; chain < count; chain++) {
      const start = Math.floor((chain * inner.length) / count);
      const end = Math.floor(((chain + 1) * inner.length) / count);
      for (let at = start; at < end; at++) {
        const own = inner[at];
        if (own && (at === start || inner[at - 1]?.offset !== own.offset)) positions += own.to - own.from;
      }
    }
  }
  return positions;
}
