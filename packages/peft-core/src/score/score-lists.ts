import { costOf, sharedPrefixes } from '../examples/index.ts';

/** Inputs that one run scores: one input, or several that share a prefix. */
export interface ScoreList {
  /** Indices of the inputs. */
  members: number[];
  /** Length of the shared prefix. Each input has at least one further position. */
  shared: number;
  /** Number of positions of the run, including padding: one of the available lengths. */
  tokens: number;
}

/** Maximum length of a list of several inputs: the cost of attention is quadratic in the length. */
const LONGEST_SHARED = 1024;
/** Maximum number of inputs in a list. */
export const MAX_MEMBERS = 64;

/**
 * Divides inputs into lists. Each input must fit the largest of `lengths` (in ascending order). Inputs with a common prefix share
 * lists if that costs less than separate runs. `shares`: the prefix has the same states in all inputs; `until`: of each input, the number of
 * positions that may be shared.
 */
export function scoreLists(
  inputs: readonly Int32Array[],
  lengths: readonly number[],
  shares: boolean,
  until: readonly number[] = inputs.map(({ length }) => length),
): ScoreList[] {
  const holding = (width: number) => lengths.find((each) => each >= width)!;
  const alone = inputs.map(({ length }, i) => ({ members: [i], shared: 0, tokens: holding(length) }));
  if (!shares) return alone;
  const groups = sharedPrefixes(inputs.map((ids, i) => ({ ids, limit: Math.min(ids.length, until[i]!) })));
  const grouped = new Set<number>();
  const lists = groups.flatMap(({ members, length }) => {
    for (const member of members) grouped.add(member);
    // The next token differs after the prefix's last position, so this position belongs to each input.
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

/** Divides members into lists of at most `most` positions; a longer input gets its own list. */
function packed(inputs: readonly Int32Array[], members: number[], shared: number, most: number): number[][] {
  const lists: number[][] = [];
  let left = 0;
  for (const member of members) {
    const own = inputs[member]!.length - shared;
    if (own > left || lists.at(-1)!.length === MAX_MEMBERS) {
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
