import type { EncodedText } from '../encoded-text.ts';
import { type AddedToken, countUpTo, type SpecialTokens } from './added-tokens.ts';

/** A stretch of text between added tokens. */
export interface Section {
  /** Where it lies in the text, UTF-16 units. */
  from: number;
  /** Whether the text begins with it: some tokenizers then put a space before it. */
  isFirst: boolean;
  /** By places in the section. */
  specialTokens: SpecialTokens;
}

/** How a kind of tokenizer makes tokens of what lies between added tokens. */
export interface Sections {
  /** Adds the part and its tokens to `out`. */
  encode(text: string, section: Section, out: EncodedText): void;
  /**
   * What a piece of a section becomes before the vocabulary is asked. That of a whole section is the pieces' one after the other,
   * but for what a normaliser does where they meet. `start`: the section begins with the piece, and so the text does or not; null
   * for other pieces.
   */
  surface(piece: string, start: Pick<Section, 'isFirst'> | null): string;
  /** A surface's length as tokens' lengths count it. */
  units(surface: string): number;
}

/** The places of `places` within a section, counted from where it begins. */
export function placesWithin(places: SpecialTokens, from: number, to: number): SpecialTokens {
  if (typeof places === 'string') return places;
  const some = places.slice(countUpTo(places, from), countUpTo(places, to - 1));
  return some.map((place) => place - from);
}

/** Added tokens may take the spaces beside them. */
export function trimmed(text: string, before?: AddedToken, after?: AddedToken): string {
  const start = before?.rstrip ? text.trimStart() : text;
  return after?.lstrip ? start.trimEnd() : start;
}
