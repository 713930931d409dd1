import { commonLength } from '../../text/common-length.ts';

/** A sequence that may share its beginning with others. */
export interface Shareable {
  /** Virtual tokens first. */
  ids: Int32Array;
  /** How many of its first positions may be shared: none of them carries a label. */
  limit: number;
}

/** Sequences, by their place in the list, whose first `length` ids are the same. */
export interface PrefixGroup {
  members: number[];
  length: number;
}

/** What a group must save at least: a prefix is a segment more, which costs something too. */
const leastSaved = 8;
/** Members of a group at most. */
const mostMembers = 256;

/**
 * Groups of sequences with a common beginning, chosen to leave out many positions: (members − 1) · length for each group. Of the
 * groupings of neighbours in lexical order it is the best; a better one, where a group lies around another, is rare. Groups and
 * members are in the order of the list.
 */
export function sharedPrefixes(sequences: readonly Shareable[]): PrefixGroup[] {
  const beginnings = sequences.map(({ ids, limit }) => ids.subarray(0, limit));
  const order = sequences.map((_, i) => i).sort((a, b) => lexically(beginnings[a]!, beginnings[b]!) || a - b);
  const common = order.map((at, i) =>
    i === 0 ? 0 : commonLength(beginnings[order[i - 1]!]!, beginnings[at]!),
  );
  // Of the first i: the most that is saved, and where the last group begins.
  const saved = [0];
  const begins = [0];
  for (let i = 1; i <= order.length; i++) {
    saved[i] = saved[i - 1]!;
    begins[i] = i - 1;
    let length = Number.POSITIVE_INFINITY;
    for (let j = i - 2; j >= 0 && i - j <= mostMembers; j--) {
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
