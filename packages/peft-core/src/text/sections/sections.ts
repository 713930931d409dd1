import type { EncodedText } from '../encoded-text.ts';
import { countUpTo, type SpecialTokens } from './added-tokens.ts';

/** A stretch of text between added tokens. */
export interface Section {
  /** Place in the text, in UTF-16 units. */
  from: number;
  /** True if the section starts the text: some tokenizers then add a space before it. */
  isFirst: boolean;
  /** With places relative to the section. */
  specialTokens: SpecialTokens;
}

/** Encodes the text between added tokens; one implementation per kind of tokenizer. */
export interface Sections {
  /** Adds the part and its tokens to `out`. */
  encode(text: string, section: Section, out: EncodedText): void;
  /**
   * The text of a piece of a section as passed to the vocabulary. The surface of a whole section is the concatenation of its pieces'
   * surfaces, except for changes by a normaliser where pieces meet. `start`: set if the piece starts the section; null for other
   * pieces.
   */
  surface(piece: string, start: Pick<Section, 'isFirst'> | null): string;
  /** Length of a surface in the unit of token lengths. */
  units(surface: string): number;
}

/** The elements of `places` within a section, relative to its start. */
export function placesWithin(places: SpecialTokens, from: number, to: number): SpecialTokens {
  if (typeof places === 'string') return places;
  const some = places.slice(countUpTo(places, from), countUpTo(places, to - 1));
  return some.map((place) => place - from);
}
