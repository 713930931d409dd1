import { costOf, sharedPrefixes } from '../examples/index.ts';

/** Inputs that one run scores: one, or several behind the beginning that they share. */
export interface ScoreList {
  /** Their indices. */
  members: number[];
  /** Positions of that beginning. Each input has one of its own at least. */
  shared: number;
  /** Positions of the run, padding included: one of the lengths that there are. */
  tokens: number;
}

/** Longest list that is made for what it saves: every position is held against every other. */
const LONGEST_SHARED = 1024;
/** Members of a list at most. */
export const MOST_MEMBERS = 64;

/**
 * How inputs are computed, of which each fits the longest of `lengths` (in ascending order): those of a group with a common beginning
 * in lists, where that is less than each by itself. `shares` is whether all of them see the same of it.
 */
export function scoreLists(
  inputs: readonly Int32Array[],
  lengths: readonly number[],
  shares: boolean,
): ScoreList[] {
  const holding = (width: number) => lengths.find((each) => each >= width)!;
  const alone = inputs.map(({ length }, i) => ({ members: [i], shared: 0, tokens: holding(length) }));
  if (!shares) return alone;
  const groups = sharedPrefixes(inputs.map((ids) => ({ ids, limit: ids.length })));
  const grouped = new Set<number>();
  const lists = groups.flatMap(({ members, length }) => {
    for (const member of members) grouped.add(member);
    // What comes after its last position differs, so that one is each input's own.
    const shared = length - 1;
    const ways = lengths
      .filter((most) => most <= LONGEST_SHARED)
      .map((most) =>
        packed(inputs, members, shared, most).map((each) => listOf(inputs, each, shared, holding)),
      );
    return [members.map((member) => alone[member]!), ...ways].reduce((least, next) =>
      costOfAll(next) < costOfAll(least) ? next : least,
    );
  });
  return [...lists, ...alone.filter((_, i) => !grouped.has(i))];
}

/** Members in lists of `most` positions at most; one that does not fit stands alone. */
function packed(inputs: readonly Int32Array[], members: number[], shared: number, most: number): number[][] {
  const lists: number[][] = [];
  let left = 0;
  for (const member of members) {
    const own = inputs[member]!.length - shared;
    if (own > left || lists.at(-1)!.length === MOST_MEMBERS) {
      lists.push([]);
      left = most - shared;
    }
    lists.at(-1)!.push(member);
    left -= own;
  }
  return lists;
}

function listOf(
  inputs: readonly Int32Array[],
  members: number[],
  shared: number,
  holding: (width: number) => number,
): ScoreList {
  const own = members.reduce((sum, member) => sum + inputs[member]!.length - shared, 0);
  return { members, shared: members.length === 1 ? 0 : shared, tokens: holding(shared + own) };
}

const costOfAll = (lists: readonly ScoreList[]): number =>
  lists.reduce((sum, { tokens }) => sum + costOf({ rows: 1, tokens, inputTokens: 0 }), 0);
