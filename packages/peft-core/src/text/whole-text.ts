import type { EncodedText } from './encoded-text.ts';
import { countUpTo } from './sections/added-tokens.ts';
import { endOfPiece } from './sections/end-of-piece.ts';
import type { Sections } from './sections/sections.ts';

/** A text, its tokens, and how many of them its beginnings hold. */
export class WholeText {
  readonly ids: readonly number[];
  readonly #text: string;
  readonly #encoded: EncodedText;
  readonly #sections: Sections;
  readonly #starts: readonly number[];
  /** How far the part that was asked for last is known. Later questions cost no more than the text in between. */
  #known: Known | null = null;

  /** `encoded`: with places. */
  constructor(text: string, encoded: EncodedText, sections: Sections) {
    this.#text = text;
    this.#encoded = encoded;
    this.#sections = sections;
    this.#starts = encoded.parts.map(({ from }) => from);
    this.ids = encoded.ids;
  }

  /**
   * How many tokens lie before `end` (UTF-16 units) as a whole, and whether the beginning that ends there ends with the last of
   * them: else the next token holds text from both sides.
   */
  beginning(end: number): { tokens: number; isExact: boolean } {
    const { parts, ids } = this.#encoded;
    const number = countUpTo(this.#starts, end - 1) - 1;
    const part = parts[number];
    if (!part) return { tokens: 0, isExact: true };
    const next = parts[number + 1]?.first ?? ids.length;
    if (end >= part.to) return { tokens: next, isExact: true };
    if (part.surface === null) return { tokens: part.first, isExact: false };
    if (this.#known?.part !== number || this.#known.end > end)
      this.#known = { part: number, end: part.from, at: 0, units: 0, tokens: part.first, covered: 0 };
    return this.#advance(this.#known, end, part.surface, next);
  }

  #advance(known: Known, end: number, surface: string, next: number): { tokens: number; isExact: boolean } {
    const lengths = this.#encoded.lengths!;
    const isStart = known.end === this.#starts[known.part];
    const start = isStart ? { isFirst: known.part === 0 } : null;
    const piece = this.#sections.surface(this.#text.slice(known.end, end), start);
    const at = endOfPiece(surface, piece, known.at);
    known.units += this.#sections.units(surface.slice(known.at, at));
    known.at = at;
    known.end = end;
    while (known.tokens < next && known.covered + lengths[known.tokens]! <= known.units)
      known.covered += lengths[known.tokens++]!;
    return { tokens: known.tokens, isExact: known.covered === known.units };
  }
}

interface Known {
  /** Number of the part. */
  part: number;
  /** In the text. */
  end: number;
  /** In the part's surface, and as tokens' lengths count it. */
  at: number;
  units: number;
  /** How many tokens of the whole text end by then, and how much of the surface they cover. */
  tokens: number;
  covered: number;
}
