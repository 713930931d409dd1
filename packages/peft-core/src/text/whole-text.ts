import type { EncodedText } from './encoded-text.ts';
import { countUpTo } from './sections/added-tokens.ts';
import { endOfPiece } from './sections/end-of-piece.ts';
import type { Sections } from './sections/sections.ts';

/** A text with its tokens, for queries about its prefixes. */
export class WholeText {
  readonly ids: readonly number[];
  readonly #text: string;
  readonly #encoded: EncodedText;
  readonly #sections: Sections;
  readonly #starts: readonly number[];
  /** State of the last query. Later queries within the same part only process the text in between. */
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
   * Number of complete tokens before `end` (UTF-16 units). `isExact`: whether the last of them ends at `end`; otherwise the next token
   * contains text from both sides.
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

  /** Start of the added token before the text that is tokenised as one with what precedes `end`; `end` after an added token, 0 without. */
  sectionBefore(end: number): number {
    const { parts } = this.#encoded;
    const number = countUpTo(this.#starts, end - 1) - 1;
    const part = parts[number];
    if (!part || (part.surface === null && end >= part.to)) return end;
    return parts[number - 1]?.from ?? 0;
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
  part: number;
  end: number;
  /** Place in the part's surface, and the same in the unit of token lengths. */
  at: number;
  units: number;
  /** Number of tokens of the whole text up to this place, and the length of the part's surface that they cover. */
  tokens: number;
  covered: number;
}
