import { commonLength } from '../../text/common-length.ts';

/** A sequence that may share a prefix with others. */
export interface Shareable {
  /** Starts with the virtual tokens. */
  ids: Int32Array;
  /** Number of positions that may be shared: none of them carries a label. */
  limit: number;
}

/** Sequences, by index, whose first `length` ids are equal. */
export interface PrefixGroup {
  members: number[];
  length: number;
}

/** Minimum number of positions that a group must save: a prefix adds a segment, which has a cost too. */
const leastSaved = 8;
/** Maximum number of members in a group. */
const maxMembers = 256;

/**
 * Groups sequences with a common prefix so as to skip many positions: (members − 1) · length for each group. The result is the best
 * grouping of neighbours in lexical order; a better grouping, with one group nested in another, is rare. Groups and
 * members are in the order of the list.
 */
export function sharedPrefixes(sequences: readonly Shareable[]): PrefixGroup[] {
  const beginnings = sequences.map(({ ids, limit }) => ids.subarray(0, limit));
  const order = sequences.map((_, i) => i).sort((a, b) => lexically(beginnings[a]!, beginnings[b]!) || a - b);
  const common = order.map((at, i) =>
    i === 0 ? 0 : commonLength(beginnings[order[i - 1]!]!, beginnings[at]!),
  );
  // For the first i sequences: the maximum number of saved positions, and the start of the last group.
  const saved = [0];
  const begins = [0];
  for (let i = 1; i <= order.length; i++) {
    saved[i] = saved[i - 1]!;
    begins[i] = i - 1;
    let length = Number.POSITIVE_INFINITY;
    for (let j = i - 2; j >= 0 && i - j <= maxMembers; j--) {
      length = Math.min(length, common[j + 1]!);
      if (length === 0) break;
      const whole = saved[j]! + (i - j - 1) * length;
      if ((i - j - 1) * length < leastSaved || whole <= saved[i]!) continue;
      saved[i] = whole;
      begins[i] = j;
    }
  }
  const groups: PrefixGroup[] = [];
  for (let i = order.length; i > 0; i = begins[i]!) {
    const from = begins[i]!;
    if (i - from < 2) continue;
    const members = order.slice(from, i).sort((a, b) => a - b);
    const length = Math.min(...common.slice(from + 1, i));
    groups.push({ members, length });
  }
  return groups.sort((a, b) => a.members[0]! - b.members[0]!);
}

function lexically(a: Int32Array, b: Int32Array): number {
  const length = commonLength(a, b);
  return (a[length] ?? -1) - (b[length] ?? -1);
}
