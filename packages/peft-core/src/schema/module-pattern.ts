import { type Matcher, RE2JS } from 're2js';

export const MAX_PATTERN_LENGTH = 512;
/** Maximum number of states of one option's regular expressions together: compiling them takes about 10 ms. */
export const MAX_PATTERN_SIZE = 4096;

const CACHED_PROGRAMS = 512;
const programs = new Map<string, RE2JS>();

/**
 * Python's `re.fullmatch(pattern, text)` with a linear-time engine: users' patterns never run in a backtracking engine.
 * Throws for syntax that RE2 lacks (look-around, back-references).
 */
export function fullMatch(pattern: string, text: string): boolean {
  if (isPlain(pattern)) return pathMatcher(pattern)(text, 'whole');
  return compile(pattern).testExact(text);
}

/** Python's `re.match(pattern, text)`: anchored only at the start. */
export function matchStart(pattern: string, text: string): Matcher | null {
  const matcher = compile(pattern).matcher(text);
  return matcher.lookingAt() ? matcher : null;
}

/** Returns true if `pattern` matches the end of a module's path, from its start or after a dot. */
export function matchesEnd(pattern: string, path: string): boolean {
  if (isPlain(pattern)) return pathMatcher(pattern)(path, 'end');
  return matchStart(`(.*\\.)?(${pattern})$`, path) !== null;
}

/** The value of the first key that matches the end of a module's path, like PEFT's get_pattern_key. */
export function fromPattern(pattern: Record<string, number>, path: string): number | undefined {
  const key = Object.keys(pattern).find((each) => matchesEnd(each, path));
  return key === undefined ? undefined : pattern[key];
}

/** Returns true if `pattern` matches whole parts of a module's path, anywhere in it. PEFT inserts it unescaped into its expression. */
export function matchesParts(pattern: string, path: string): boolean {
  if (isPlain(pattern)) return pathMatcher(pattern)(path, 'parts');
  return matchStart(`(^|.*\\.)${pattern}($|\\..*)`, path) !== null;
}

/**
 * Reasons why regular expressions of an option cannot be used, at most `MAX_FAULTS`; expressions that are too large are not compiled.
 * `within` builds the expression that one is inserted into.
 */
export function* patternFaults(
  patterns: string[],
  within: (pattern: string) => string = (pattern) => pattern,
): Generator<{ pattern: string; reason: string }> {
  let size = 0;
  for (const pattern of patterns) {
    if (pattern.length > MAX_PATTERN_LENGTH) {
      const reason = `is a regular expression of ${pattern.length} characters; the limit is ${MAX_PATTERN_LENGTH}`;
      yield { pattern, reason };
      continue;
    }
    if (isPlain(pattern)) continue;
    size += expandedSize(pattern);
    if (size > MAX_PATTERN_SIZE) {
      const whose = patterns.length === 1 ? 'is a regular expression' : 'is one of regular expressions';
      const reason = `${whose} of more than ${MAX_PATTERN_SIZE} states, counted repetitions written out; that is the limit`;
      yield { pattern, reason };
      return;
    }
    try {
      compile(pattern);
      compile(within(pattern));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const reason = `is not a usable regular expression (${why}); look-around and back-references are not supported`;
      yield { pattern, reason };
    }
  }
}

/** Maximum number of steps for matching `pattern` with texts of `characters` characters in total: 0 for a plain name. */
export function matchingSteps(pattern: string, characters: number): number {
  return isPlain(pattern) ? 0 : expandedSize(pattern) * characters;
}

/** Pattern that finds the number of a layer in a module's path as group `idx`; `list` is the name of the list of layers. */
export function layerNumberPattern(list: string): string {
  return `(?:^|.*?\\.)${list}\\.(?P<idx>\\d+)\\.`;
}

/** Returns true if the pattern is a name or path whose only special characters are dots, which match any character or, escaped, a dot. */
function isPlain(pattern: string): boolean {
  return /^(?:[\w.-]|\\\.)*$/.test(pattern);
}

/** Matches a plain pattern without a regular expression engine: a config may set a rank for each of a thousand modules by path. */
function pathMatcher(pattern: string): (path: string, where: 'whole' | 'end' | 'parts') => boolean {
  const wanted = pattern.replaceAll('\\.', '/');
  const matchesAt = (path: string, at: number) => {
    if (at + wanted.length > path.length) return false;
    for (let i = 0; i < wanted.length; i++) {
      const sign = wanted[i];
      if (sign === '.') {
        if (path[at + i] === '\n') return false;
      } else if (path[at + i] !== (sign === '/' ? '.' : sign)) return false;
    }
    return true;
  };
  return (path, where) => {
    const last = path.length - wanted.length;
    if (where === 'whole') return last === 0 && matchesAt(path, 0);
    if (where === 'end') return (last === 0 || path[last - 1] === '.') && matchesAt(path, last);
    for (let at = 0; at !== -1 && at <= last; at = nextPart(path, at)) {
      const end = at + wanted.length;
      if ((end === path.length || path[end] === '.') && matchesAt(path, at)) return true;
    }
    return false;
  };
}

/** Start of the part of a path after the one at `at`; −1 if there is none. */
function nextPart(path: string, at: number): number {
  const dot = path.indexOf('.', at);
  return dot === -1 ? -1 : dot + 1;
}

function compile(pattern: string): RE2JS {
  let program = programs.get(pattern);
  if (!program) {
    program = RE2JS.compile(pattern);
    if (programs.size >= CACHED_PROGRAMS) programs.clear();
    programs.set(pattern, program);
  }
  return program;
}

/**
 * Number of states of a regular expression with its counted repetitions expanded, `(ab){3}` as `ababab`: proportional to the cost of
 * compiling it, and of matching each character. Computed without compiling, and never too small; invalid syntax is counted in some way.
 */
function expandedSize(pattern: string): number {
  // Sizes of the enclosing open groups, and of the last atom of each, which a repetition multiplies.
  const open: { size: number; atom: number }[] = [{ size: 1, atom: 0 }];
  const add = (atom: number) => {
    const group = open.at(-1)!;
    group.size += atom;
    group.atom = atom;
  };
  for (let i = 0; i < pattern.length; i++) {
    const sign = pattern[i]!;
    if (sign === '\\') {
      i++;
      add(1);
    } else if (sign === '[') {
      const end = endOfClass(pattern, i);
      // A class may consist of many ranges, which are searched for each character.
      add(1 + Math.ceil((end - i) / 8));
      i = end;
    } else if (sign === '(') {
      open.push({ size: 2, atom: 0 });
    } else if (sign === ')' && open.length > 1) {
      add(open.pop()!.size);
    } else if (sign === '{') {
      const count = /^\{(\d{1,6})(?:,(\d{0,6}))?\}/.exec(pattern.slice(i, i + 16));
      if (!count) {
        add(1);
        continue;
      }
      i += count[0].length - 1;
      const times = Math.max(Number(count[1]), Number(count[2] || 0), 1);
      const group = open.at(-1)!;
      const { atom } = group;
      group.size += (atom + 1) * times - atom;
      group.atom = (atom + 1) * times;
    } else if (sign === '*' || sign === '+' || sign === '?') {
      const group = open.at(-1)!;
      group.size += 1;
      group.atom += 1;
    } else add(1);
  }
  return open.reduce((sum, { size }) => sum + size, 0);
}

/** Index of the end of the character class that starts at `start`. */
function endOfClass(pattern: string, start: number): number {
  let i = start + 1;
  if (pattern[i] === '^') i++;
  // A closing bracket in first position is an ordinary character.
  if (pattern[i] === ']') i++;
  for (; i < pattern.length && pattern[i] !== ']'; i++) {
    if (pattern[i] === '\\') i++;
  }
  return i;
}
