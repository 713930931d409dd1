import type { EncodedText } from '../encoded-text.ts';
import { type AddedToken, AddedTokens, type SpecialTokens } from './added-tokens.ts';
import { placesWithin, type Sections } from './sections.ts';

/** Splits a text at its added tokens; the text between two of them is a section, which is tokenised separately. */
export class SectionSplitter {
  readonly #added: AddedTokens;
  readonly #sections: Sections;
  readonly #special: () => ReadonlySet<number>;

  /** `special`: ids of the tokens that are plain text where special tokens are not encoded. */
  constructor(added: readonly AddedToken[], sections: Sections, special: () => ReadonlySet<number>) {
    this.#added = new AddedTokens(new Map(added.map((token) => [token.content, token])));
    this.#sections = sections;
    this.#special = special;
  }

  encode(text: string, tokens: SpecialTokens, out: EncodedText): EncodedText {
    let start = 0;
    const section = (end: number) => {
      if (start >= end) return;
      const whole = start === 0 && end === text.length ? text : text.slice(start, end);
      const specialTokens = placesWithin(tokens, start, end);
      this.#sections.encode(whole, { from: start, isFirst: start === 0, specialTokens }, out);
    };
    const options = { tokens, special: tokens === 'all' ? NONE : this.#special(), tick: () => out.tick() };
    this.#added.find(text, options, ({ token, at, end, from, to }) => {
      section(from);
      out.part(at, end, () => null);
      out.push(token.id, end - at);
      start = to;
    });
    section(text.length);
    return out;
  }
}

const NONE: ReadonlySet<number> = new Set();
