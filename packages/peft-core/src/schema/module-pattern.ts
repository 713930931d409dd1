import { type Matcher, RE2JS } from 're2js';

/** Longest regular expression a user may send; matching is linear in it, compiling is not free. */
export const MAX_PATTERN_LENGTH = 512;

const CACHED_PROGRAMS = 256;
const programs = new Map<string, RE2JS>();

/**
 * Python's `re.fullmatch(pattern, text)`, by a linear-time engine: users' patterns never meet a backtracking one.
 * Throws on syntax RE2 does not have (look-around, back-references).
 */
export function fullMatch(pattern: string, text: string): boolean {
  return compile(pattern).testExact(text);
}

/** Python's `re.match(pattern, text)`: anchored at the start only. */
export function matchStart(pattern: string, text: string): Matcher | null {
  const matcher = compile(pattern).matcher(text);
  return matcher.lookingAt() ? matcher : null;
}

/** Why `pattern` cannot be used, or null. `within` is the expression it becomes a part of. */
export function patternFault(pattern: string, within = pattern): string | null {
  if (pattern.length > MAX_PATTERN_LENGTH) {
    return `is a regular expression of ${pattern.length} characters; the limit is ${MAX_PATTERN_LENGTH}`;
  }
  try {
    compile(pattern);
    compile(within);
    return null;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return `is not a usable regular expression (${reason}); look-around and back-references are not supported`;
  }
}

/** Finds the number of a layer in a module's path as group `idx`; `list` names what holds the layers. */
export function layerNumberPattern(list: string): string {
  return `(?:^|.*?\\.)${list}\\.(?P<idx>\\d+)\\.`;
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
