import type { EncodedText } from '../encoded-text.ts';
import { type AddedToken, AddedTokens, type SpecialTokens } from './added-tokens.ts';
import { placesWithin, type Sections, trimmed } from './sections.ts';

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

  encode(text: string, specialTokens: SpecialTokens, out: EncodedText): EncodedText {
    let from = 0;
    let before: AddedToken | undefined;
    const section = (to: number, after?: AddedToken) => {
      const rest = trimmed(from === 0 && to === text.length ? text : text.slice(from, to), before, after);
      if (rest === '') return;
      // Spaces that the preceding token strips are not part of the section.
      const start = before?.rstrip ? text.indexOf(rest, from) : from;
      const places = placesWithin(specialTokens, start, start + rest.length);
      this.#sections.encode(rest, { from: start, isFirst: from === 0, specialTokens: places }, out);
    };
    this.#added.find(
      text,
      specialTokens,
      specialTokens === 'all' ? NONE : this.#special(),
      (at, end, token) => {
        section(at, token);
        out.part(at, end, () => null);
        out.push(token.id, end - at);
        from = end;
        before = token;
      },
    );
    section(text.length);
    return out;
  }
}

const NONE: ReadonlySet<number> = new Set();
