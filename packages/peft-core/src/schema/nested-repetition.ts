import { endOfClass } from './pattern-size.ts';

/** Maximum number of repetitions within each other, such as the two of `([a-z]+,)*`. */
const MAX_DEPTH = 2;

/** A part of a pattern. */
interface Atom {
  /** Its place in the pattern. */
  start: number;
  /** Whether it matches texts of several lengths because of a repetition. */
  varies: boolean;
  /** Whether it has a part that occurs exactly as often as it does, and so shows where a repetition of it starts again. */
  isFixed: boolean;
  /** Whether one of its alternatives varies and is not fixed. */
  isOpen: boolean;
  /** Number of repetitions within each other whose count varies. */
  depth: number;
}

interface Group extends Atom {
  /** The alternative that is being read. */
  own: { varies: boolean; isFixed: boolean; last: Atom | null };
}

/**
 * The first part of a regular expression that repeats a repetition with nothing between, such as `([a-z]*)*` or `([a-z]{0,5})+`, or
 * repeats more than two deep; null if there is none. A text has exponentially many readings by such a part, and every token of an answer would consider them. `([a-z]+,)*`,
 * with a comma between, has one. Reads the pattern once, and accepts invalid syntax.
 */
export function nestedRepetition(pattern: string): string | null {
  const open: Group[] = [groupAt(0)];
  const append = (atom: Atom) => {
    const group = open.at(-1)!;
    settle(group);
    group.own.last = atom;
  };
  for (let i = 0; i < pattern.length; i++) {
    const sign = pattern[i]!;
    const plain = { start: i, varies: false, isFixed: true, isOpen: false, depth: 0 };
    if (sign === '\\') {
      i++;
      append({ ...plain, isFixed: !/[bB]/.test(pattern[i] ?? '') });
    } else if (sign === '[') {
      i = endOfClass(pattern, i);
      append(plain);
    } else if (sign === '(') {
      open.push(groupAt(i));
      const opening = /^\(\?(?::|<?[=!]|P?<\w*>)/.exec(pattern.slice(i, i + 64));
      if (opening) i += opening[0].length - 1;
    } else if (sign === ')' && open.length > 1) {
      const group = open.pop()!;
      endAlternative(group);
      append(group);
    } else if (sign === '|') endAlternative(open.at(-1)!);
    else if (sign === '^' || sign === '$') append({ ...plain, isFixed: false });
    else {
      const count = countAt(pattern, i);
      const { own } = open.at(-1)!;
      if (!count || !own.last) {
        append(plain);
        continue;
      }
      i += count.length - 1;
      const isExact = count.least === count.most;
      const depth = own.last.depth + (count.most > 1 && !isExact ? 1 : 0);
      if ((count.most > 1 && own.last.isOpen) || depth > MAX_DEPTH)
        return pattern.slice(own.last.start, i + 1);
      const varies = own.last.varies || !isExact;
      const isFixed = own.last.isFixed && isExact && count.least > 0;
      // A second count after the first, `a*+`, would repeat the repetition; `a*?` only prefers short texts.
      own.last = { start: own.last.start, varies, isFixed, isOpen: varies && !isFixed, depth };
    }
  }
  return null;
}

const groupAt = (start: number): Group => ({
  start,
  varies: false,
  isFixed: true,
  isOpen: false,
  depth: 0,
  own: { varies: false, isFixed: false, last: null },
});

function settle(group: Group): void {
  const { own } = group;
  if (!own.last) return;
  group.depth = Math.max(group.depth, own.last.depth);
  own.varies ||= own.last.varies;
  own.isFixed ||= own.last.isFixed;
  own.last = null;
}

function endAlternative(group: Group): void {
  const isEmpty = group.own.last === null && !group.own.isFixed && !group.own.varies;
  settle(group);
  group.varies ||= group.own.varies || isEmpty;
  group.isFixed &&= group.own.isFixed;
  group.isOpen ||= isEmpty || (group.own.varies && !group.own.isFixed);
  group.own = { varies: false, isFixed: false, last: null };
}

/** A quantifier at this place; null if there is none. */
function countAt(pattern: string, at: number): { length: number; least: number; most: number } | null {
  switch (pattern[at]) {
    case '?':
      return { length: 1, least: 0, most: 1 };
    case '*':
      return { length: 1, least: 0, most: Number.POSITIVE_INFINITY };
    case '+':
      return { length: 1, least: 1, most: Number.POSITIVE_INFINITY };
    case '{': {
      const count = /^\{(\d{1,6})(,?)(\d{0,6})\}/.exec(pattern.slice(at, at + 16));
      if (!count) return null;
      const least = Number(count[1]);
      if (count[2] === '') return { length: count[0].length, least, most: least };
      const most = count[3] === '' ? Number.POSITIVE_INFINITY : Number(count[3]);
      return { length: count[0].length, least, most };
    }
    default:
      return null;
  }
}
