import { commonLength } from '../../text/common-length.ts';

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

/** A group whose members may form smaller groups, of longer prefixes. */
export interface NestedGroup extends PrefixGroup {
  inner: PrefixGroup[];
}

/** Minimum number of positions that a group must save: a prefix adds a segment, which has a cost too. */
const leastSaved = 8;
const maxMembers = 256;

/**
 * Groups sequences by two levels of common prefixes, such as a system message and the prompts after it. The groups that save most by
 * themselves are joined with others, or divided, whichever skips more positions.
 */
export function nestedPrefixes(sequences: readonly Shareable[]): NestedGroup[] {
  const groups = sharedPrefixes(sequences);
  const joined = joinGroups(sequences, groups).filter(
    (outer) => savedBy([outer]) > savedBy(outer.inner.map((group) => divide(sequences, group))),
  );
  const isJoined = new Set(joined.flatMap(({ inner }) => inner));
  const divided = groups.filter((group) => !isJoined.has(group)).map((group) => divide(sequences, group));
  return [...joined, ...divided].sort((a, b) => a.members[0]! - b.members[0]!);
}

/** Groups the members by longer prefixes. */
function divide(sequences: readonly Shareable[], group: PrefixGroup): NestedGroup {
  const rests = group.members.map((member) => {
    const { ids, limit } = sequences[member]!;
    return { ids: ids.subarray(group.length), limit: limit - group.length };
  });
  const inner = sharedPrefixes(rests).map(({ members, length }) => ({
    members: members.map((at) => group.members[at]!),
    length: group.length + length,
  }));
  return { ...group, inner };
}

/** Groups whole groups, and sequences that are in none, by what the prefixes of several begin with. */
function joinGroups(sequences: readonly Shareable[], groups: readonly PrefixGroup[]): NestedGroup[] {
  const isGrouped = new Set(groups.flatMap(({ members }) => members));
  const alone = sequences.flatMap(({ limit }, at) =>
    isGrouped.has(at) ? [] : [{ members: [at], length: limit }],
  );
  const units = [...groups, ...alone].sort((a, b) => a.members[0]! - b.members[0]!);
  const shareable = units.map(({ members, length }) => ({
    ids: sequences[members[0]!]!.ids,
    // An inner prefix keeps a position.
    limit: members.length > 1 ? length - 1 : length,
  }));
  return sharedPrefixes(shareable).map(({ members, length }) => {
    const own = members.map((at) => units[at]!);
    return {
      members: own.flatMap((unit) => unit.members).sort((a, b) => a - b),
      length,
      inner: own.filter((unit) => unit.members.length > 1),
    };
  });
}

/** Number of positions that groups skip. */
function savedBy(groups: readonly NestedGroup[]): number {
  let saved = 0;
  for (const { members, length, inner } of groups) {
    saved += (members.length - 1) * length;
    for (const group of inner) saved += (group.members.length - 1) * (group.length - length);
  }
  return saved;
}

/**
 * Groups sequences with a common prefix so as to skip many positions: (members − 1) · length for each group. The result is the best
 * grouping of neighbours in lexical order, without a group in another. Groups and members are in the order of the list.
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
