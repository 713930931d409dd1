import { countUpTo, type SpecialTokens } from './sections/added-tokens.ts';
import { TextTrie } from './sections/text-trie.ts';

/** U+FDD0 is a noncharacter, which by Unicode is not used in exchanged text. Where a text contains it anyway, OWN follows it. */
const ESCAPE = '\uFDD0';
const OWN = '\uFDD1';
const PLACE = '\uFDD2';
/** UTF-16 units at a text's start or end that may be a part of a special token: more than the longest token in use. */
const LONGEST_LOOKED_AT = 512;

const ESCAPED = new RegExp(`${ESCAPE}[${OWN}${PLACE}]`, 'g');

/** A rendered text, and the places where it must not have special tokens. */
export interface GuardedText {
  text: string;
  specialTokens: SpecialTokens;
}

/**
 * Separates users' text from the text that a template writes around it. `guard` inserts a mark into each special token of a text, after
 * its first character, and where the start or end of the text could form a special token with adjacent text; `read` removes the marks
 * from the rendered text. The template sees everything else unchanged: it trims, splits and compares as before.
 */
export class SpecialText {
  readonly #any: TextTrie;
  /** Sorted; and reversed, sorted. */
  readonly #sorted: readonly string[];
  readonly #backwards: readonly string[];
  readonly #longest: number;

  /** `texts`: texts of the special tokens. */
  constructor(texts: readonly string[]) {
    this.#any = new TextTrie(texts);
    this.#sorted = texts.toSorted();
    this.#backwards = texts.map(reversed).toSorted();
    const longest = texts.reduce((most, { length }) => Math.max(most, length), 0);
    this.#longest = Math.min(longest, LONGEST_LOOKED_AT);
  }

  count(text: string): number {
    let count = 0;
    for (let at = 0; at < text.length; ) {
      const length = this.#any.lengthAt(text, at);
      if (length > 0) count++;
      at += Math.max(1, length);
    }
    return count;
  }

  guard(text: string): string {
    const places = this.#placesIn(text);
    if (places.length === 0) return escaped(text);
    let guarded = '';
    let from = 0;
    for (const place of places) {
      guarded += escaped(text.slice(from, place)) + ESCAPE + PLACE;
      from = place;
    }
    return guarded + escaped(text.slice(from));
  }

  /** Places of marks, ascending. */
  #placesIn(text: string): number[] {
    const places = new Set<number>();
    const afterFirst = (start: number) => places.add(start + (text.codePointAt(start)! > 0xffff ? 2 : 1));
    if (this.#any.isEmpty) return [];
    // A token may start within another.
    for (let at = 0; at < text.length; at++) {
      const length = this.#any.lengthAt(text, at);
      if (length === 1) places.add(at);
      else if (length > 1) afterFirst(at);
    }
    // Templates may trim the text.
    for (const end of new Set([text.length, text.trimEnd().length]))
      for (let start = Math.max(0, end - this.#longest); start < end; start++)
        if (beginsOne(this.#sorted, text.slice(start, end))) afterFirst(start);
    for (const start of new Set([0, text.length - text.trimStart().length])) {
      const first = reversed(text.slice(start, start + this.#longest));
      for (let from = 0; from < first.length; from++)
        if (beginsOne(this.#backwards, first.slice(from))) places.add(start);
    }
    return [...places].sort((a, b) => a - b);
  }

  /** Removes the marks from text rendered from guarded texts. `placeOf`: maps a place in `rendered` to one in the result. */
  static read(rendered: string): GuardedText & { placeOf(at: number): number } {
    if (!rendered.includes(ESCAPE)) return { text: rendered, specialTokens: 'all', placeOf: (at) => at };
    const places: number[] = [];
    /** Ends of removed parts in `rendered`, and the total length removed up to each. */
    const ends: number[] = [];
    const gone: number[] = [];
    let text = '';
    let from = 0;
    for (const { 0: found, index } of rendered.matchAll(ESCAPED)) {
      const isOwn = found[1] === OWN;
      text += rendered.slice(from, index) + (isOwn ? ESCAPE : '');
      from = index + found.length;
      if (!isOwn) places.push(text.length);
      ends.push(from);
      gone.push(from - text.length);
    }
    text += rendered.slice(from);
    return { text, specialTokens: places, placeOf: (at) => at - (gone[countUpTo(ends, at) - 1] ?? 0) };
  }
}

function escaped(text: string): string {
  return text.includes(ESCAPE) ? text.replaceAll(ESCAPE, ESCAPE + OWN) : text;
}

function reversed(text: string): string {
  return text.split('').reverse().join('');
}

/** Returns true if one of these sorted texts is longer than `beginning` and starts with it. */
function beginsOne(sorted: readonly string[], beginning: string): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! <= beginning) low = middle + 1;
    else high = middle;
  }
  return sorted[low]?.startsWith(beginning) ?? false;
}
