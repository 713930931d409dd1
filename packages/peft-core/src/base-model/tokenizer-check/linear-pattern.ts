/**
 * Checks whether a tokenizer.json's regular expression takes time linear in the text. The regex engine backtracks, and the expressions
 * come with models. Those in practice are simple: alternatives of a few characters or classes in a row, each repeated or not.
 */

const longestPattern = 4096;
const deepestGroup = 8;
/** Maximum number of sequences after expanding a pattern's groups. */
const maxSequences = 2000;
/** Repetition above this number counts as unlimited. */
const fewTimes = 64;

/** One character or class, or a zero-width condition. */
interface Term {
  /** The source in the pattern; null for a zero-width condition. */
  source: string | null;
  min: number;
  max: number;
  /** The term is in an optional group, so the terms before the group do not fail if it does. */
  optional?: boolean;
}

type Sequence = readonly Term[];

class NotLinear extends Error {}

/** Patterns of published models. text/exact-splitting.ts makes the first linear; a text's deadline limits the cost of the others. */
const published = new Set(['\\s+$', '(?=(\\d{3})+(?!\\d))', '\\d{1,3}(?=(?:\\d{3})*\\b)']);

/** Returns null if a pattern is linear or that of a published model, else the reason why it cannot be proved linear. */
export function whyNotLinear(pattern: string): string | null {
  if (published.has(pattern)) return null;
  try {
    if (pattern.length > longestPattern)
      throw new NotLinear(`has ${pattern.length} characters; at most ${longestPattern} are read`);
    const sequences = new PatternReader(pattern).read();
    for (const sequence of sequences) checkSequence(sequence, sequences);
    return null;
  } catch (error) {
    if (error instanceof NotLinear) return error.message;
    throw error;
  }
}

/** Parses the part of Oniguruma's syntax that tokenizers use. */
class PatternReader {
  readonly #pattern: string;
  #at = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  read(): Sequence[] {
    const sequences = this.#alternatives(0);
    if (this.#at < this.#pattern.length) throw new NotLinear(`has a ")" too many`);
    return sequences;
  }

  #alternatives(depth: number): Sequence[] {
    if (depth > deepestGroup) throw new NotLinear(`nests groups more than ${deepestGroup} deep`);
    const all: Sequence[] = [];
    do {
      all.push(...this.#row(depth));
      if (all.length > maxSequences) throw new NotLinear('has too many alternatives');
    } while (this.#take('|'));
    return all;
  }

  #row(depth: number): Sequence[] {
    let rows: Sequence[] = [[]];
    while (this.#at < this.#pattern.length && !'|)'.includes(this.#pattern[this.#at]!)) {
      const next = this.#term(depth);
      if (rows.length * next.length > maxSequences) throw new NotLinear('has too many alternatives');
      rows = rows.flatMap((row) => next.map((terms) => [...row, ...terms]));
    }
    return rows;
  }

  /** A term with its quantifier; for a group, all its alternatives. */
  #term(depth: number): Sequence[] {
    if (this.#pattern[this.#at] === '(') return this.#group(depth);
    const source = this.#character();
    if (source === '^' || source === '$' || /^\\[bBAzZG]$/.test(source))
      return [[{ source: null, min: 1, max: 1 }]];
    const { min, max } = this.#quantifier();
    return [[{ source, min, max }]];
  }

  #group(depth: number): Sequence[] {
    const opening = /^\((\?(?:[imsx]*:|[=!]|<[=!]))?/.exec(this.#pattern.slice(this.#at, this.#at + 12))!;
    if (opening[0] === '(' && this.#pattern[this.#at + 1] === '?')
      throw new NotLinear(`has a group of a kind that is not read, at character ${this.#at}`);
    this.#at += opening[0].length;
    const inner = this.#alternatives(depth + 1);
    if (!this.#take(')')) throw new NotLinear('has a group that does not end');
    const { min, max } = this.#quantifier();
    if (/[=!]$/.test(opening[0])) {
      if (inner.some((row) => row.some((term) => term.max > fewTimes)))
        throw new NotLinear('looks ahead or behind without end');
      return [[{ source: null, min: 1, max: 1 }]];
    }
    if (max > 1) throw new NotLinear('repeats a group');
    if (min > 0) return inner;
    return [...inner.map((row) => row.map((term) => ({ ...term, optional: true }))), []];
  }

  /** One character, escape or class. */
  #character(): string {
    const rest = this.#pattern.slice(this.#at);
    const [found] =
      /^(?:\\[pP]\{\^?[\w =]+\}|\\x\{[0-9A-Fa-f]+\}|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\[^\d\w]|\\[wWdDsShHnrtfvaebBAzZG])/u.exec(
        rest,
      ) ?? [];
    if (found !== undefined) {
      this.#at += found.length;
      return found;
    }
    if (rest[0] === '\\') throw new NotLinear(`has the escape ${rest.slice(0, 2)}, which is not read`);
    if (rest[0] === '[') return this.#class();
    if ('*+?{'.includes(rest[0]!)) throw new NotLinear(`repeats nothing at character ${this.#at}`);
    const character = String.fromCodePoint(rest.codePointAt(0)!);
    this.#at += character.length;
    return character;
  }

  /** Classes can be nested. */
  #class(): string {
    const start = this.#at;
    let depth = 0;
    do {
      const sign = this.#pattern[this.#at];
      if (sign === undefined) throw new NotLinear('has a class that does not end');
      if (sign === '\\') this.#at++;
      else if (sign === '[') depth++;
      else if (sign === ']') depth--;
      this.#at++;
    } while (depth > 0);
    return this.#pattern.slice(start, this.#at);
  }

  #quantifier(): { min: number; max: number } {
    const found = /^(?:[*+?]|\{(\d*)(,?)(\d*)\})[?+]?/.exec(this.#pattern.slice(this.#at, this.#at + 40));
    if (!found) return { min: 1, max: 1 };
    this.#at += found[0].length;
    if (/^[*+?{]/.test(this.#pattern.slice(this.#at))) throw new NotLinear('repeats what is repeated');
    const sign = found[0][0];
    if (sign === '*') return { min: 0, max: Number.POSITIVE_INFINITY };
    if (sign === '+') return { min: 1, max: Number.POSITIVE_INFINITY };
    if (sign === '?') return { min: 0, max: 1 };
    const [, least = '', comma, most = ''] = found;
    const min = Number(least || 0);
    const max = comma === '' ? min : most === '' ? Number.POSITIVE_INFINITY : Number(most);
    if (min > 1000 || (max !== Number.POSITIVE_INFINITY && max > 1000))
      throw new NotLinear(`repeats something ${found[0]} times; at most 1000 are read`);
    return { min, max };
  }

  #take(sign: string): boolean {
    if (this.#pattern[this.#at] !== sign) return false;
    this.#at++;
    return true;
  }
}

function checkSequence(sequence: Sequence, all: readonly Sequence[]): void {
  const endless = sequence.flatMap((term, i) => (term.max > fewTimes ? [i] : []));
  for (const i of endless) {
    const { optional: isInner = false } = sequence[i]!;
    const demands = ({ min, optional = false }: Term) => min > 0 && (isInner || !optional);
    const after = sequence.slice(i + 1);
    if (!after.some(demands)) continue;
    // Backtracking tries every combination of the lengths of the two runs.
    const next = after.findIndex(({ min, max, source }) => max > fewTimes || (min > 0 && source !== null));
    const other = next === -1 ? undefined : after[next];
    const rest = next === -1 ? [] : after.slice(next + 1);
    if (
      other?.source &&
      other.max > fewTimes &&
      overlap(sequence[i]!.source!, other.source) &&
      rest.some(demands)
    )
      throw new NotLinear(
        `repeats ${sequence[i]!.source} and then ${other.source}, which share characters, before something else`,
      );
    // From every position in a long run, the run would be read to its end in vain, unless another alternative matches the whole run.
    if (!all.some((each) => takesWhole(each, sequence[i]!.source!)))
      throw new NotLinear(
        `repeats ${sequence[i]!.source} before something else, and no alternative takes what is repeated alone`,
      );
  }
}

/** Returns true if `sequence` matches a whole run of `source` and cannot fail after it. */
function takesWhole(sequence: Sequence, source: string): boolean {
  const first = sequence.findIndex(({ min }) => min > 0);
  const run = sequence[first];
  if (!run?.source || run.max <= fewTimes) return false;
  return sequence.slice(first + 1).every(({ min }) => min === 0) && includes(run.source, source);
}

/** Characters of many kinds, with which classes are compared. */
const samples: readonly string[] = [
  ...Array.from({ length: 0x250 }, (_, i) => i),
  0x300,
  0x301,
  0x345,
  0x391,
  0x3b1,
  0x410,
  0x430,
  0x5d0,
  0x627,
  0x660,
  0x661,
  0x905,
  0x93e,
  0xe01,
  0x1100,
  0x1c5,
  0x2b0,
  0x2028,
  0x2029,
  0x200b,
  0x200d,
  0x2160,
  0x20ac,
  0x3000,
  0x3001,
  0x3042,
  0x30a2,
  0x4e00,
  0x9fa5,
  0xac00,
  0xe000,
  0xfe0f,
  0xfeff,
  0xff10,
  0xff21,
  0xff41,
  0x1d400,
  0x1f600,
  0x20000,
  0xe0100,
].map((point) => String.fromCodePoint(point));

const members = new Map<string, ReadonlySet<string>>();

/** The samples that a character or class matches; null if JavaScript does not support its syntax. */
function membersOf(source: string): ReadonlySet<string> | null {
  const known = members.get(source);
  if (known) return known;
  try {
    // Nested classes need the v mode; the u mode supports more of the other syntax.
    const matcher = compiled(source, 'u') ?? compiled(source, 'v');
    if (!matcher) return null;
    const found = new Set(samples.filter((each) => matcher.test(each)));
    if (members.size > 1000) members.clear();
    members.set(source, found);
    return found;
  } catch {
    return null;
  }
}

function compiled(source: string, mode: string): RegExp | null {
  try {
    const plain = source.length === 1 ? source.replace(/[/{}\-#&~!@%,:;<=>`'" ]/, '\\u{$&}') : source;
    return new RegExp(
      `^(?:${plain.startsWith('\\u{') ? `\\u{${source.codePointAt(0)!.toString(16)}}` : source})$`,
      `i${mode}`,
    );
  } catch {
    return null;
  }
}

function overlap(one: string, other: string): boolean {
  const [a, b] = [membersOf(one), membersOf(other)];
  if (!a || !b) return true;
  return [...a].some((each) => b.has(each));
}

function includes(outer: string, inner: string): boolean {
  const [a, b] = [membersOf(outer), membersOf(inner)];
  if (!a || !b) return outer === inner;
  return [...b].every((each) => a.has(each));
}
