import { WORD_CHARACTER } from '../steps/pre-tokenizer.ts';
import { spacesAt, spacesBefore } from '../steps/white-space.ts';
import { TextTrie } from './text-trie.ts';

/** An entry of tokenizer.json's `added_tokens`: a token that is found in the text before any other processing. */
export interface AddedToken {
  id: number;
  content: string;
  /** True if the token is only found where no character of a word is next to it. */
  single_word?: boolean;
  /** True if the token includes the white space before it, or after it. */
  lstrip?: boolean;
  rstrip?: boolean;
  normalized?: boolean;
  special?: boolean;
}

/**
 * Which special tokens in a text are encoded as tokens: all of them; none, so that they are plain text; or all except those with one of
 * these places (ascending, in UTF-16 units of the text) between their first and last characters, or before a single-unit token.
 */
export type SpecialTokens = 'all' | 'none' | readonly number[];

export interface FoundToken {
  token: AddedToken;
  at: number;
  end: number;
  /** Range with the white space that the token includes. */
  from: number;
  to: number;
}

interface FindOptions {
  tokens: SpecialTokens;
  /** Ids of the tokens that are plain text where special tokens are not encoded. */
  special: ReadonlySet<number>;
  /** Called regularly; throws when the time is over. */
  tick(): void;
}

/** Finds added tokens in a text: leftmost first, and the longest of those that start at the same place. */
export class AddedTokens {
  readonly #byText: ReadonlyMap<string, AddedToken>;
  readonly #trie: TextTrie;

  /** `byText`: tokens by the text to find. */
  constructor(byText: ReadonlyMap<string, AddedToken>) {
    this.#byText = byText;
    this.#trie = new TextTrie(byText.keys());
  }

  get isEmpty(): boolean {
    return this.#trie.isEmpty;
  }

  /** Calls `onToken` for each token found. Skips special tokens where they are plain text. */
  find(text: string, { tokens, special, tick }: FindOptions, onToken: (found: FoundToken) => void): void {
    if (this.isEmpty) return;
    let before = 0;
    for (let at = 0; at < text.length; ) {
      tick();
      const length = this.#trie.lengthAt(text, at);
      const end = at + length;
      if (length === 0) {
        at++;
        continue;
      }
      const token = this.#byText.get(text.slice(at, end))!;
      if (special.has(token.id) && isPlainText(tokens, at, end)) {
        at++;
        continue;
      }
      if (!token.single_word || isSingleWord(text, at, end)) {
        const from = token.lstrip ? at - spacesBefore(text, at, before) : at;
        const to = token.rstrip ? end + spacesAt(text, end) : end;
        onToken({ token, at, end, from, to });
        before = to;
      }
      at = end;
    }
  }
}

function isSingleWord(text: string, at: number, end: number): boolean {
  const low = at > 0 && isLowSurrogate(text.charCodeAt(at - 1)) ? at - 2 : at - 1;
  if (at > 0 && WORD_CHARACTER.test(text.slice(low, at))) return false;
  return end === text.length || !WORD_CHARACTER.test(String.fromCodePoint(text.codePointAt(end)!));
}

const isLowSurrogate = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff;

function isPlainText(tokens: SpecialTokens, from: number, to: number): boolean {
  if (typeof tokens === 'string') return tokens === 'none';
  // The place of a single-character token is before it.
  const next = tokens[countUpTo(tokens, to - from === 1 ? from - 1 : from)];
  return next !== undefined && next < to;
}

/** Number of ascending `values` that are at most `limit`. */
export function countUpTo(values: readonly number[], limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
