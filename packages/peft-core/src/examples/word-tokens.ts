import type { Tokenizer } from '../text/tokenizer.ts';

/** Words as one sequence of tokens, special ones around them. */
export interface WordTokens {
  ids: number[];
  /** Index in `ids` of each word's first token; −1 for a word that the tokenizer drops. */
  firsts: number[];
}

/** Tokens of words as they stand in a text with a space between, each word's by themselves. */
export function wordTokens(tokenizer: Tokenizer, words: readonly string[]): WordTokens {
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const spaced = words.map((word, i) => encode(i === 0 ? word : ` ${word}`));
  // Whether the space before a word is part of its tokens is the tokenizer's: ByteLevel's is, WordPiece's is not.
  const joined = encode(words.join(' '));
  const own = spaced.flat().join() === joined.join() ? spaced : words.map(encode);
  const { before, after } = tokenizer.specialTokensAround();
  const ids = [...before];
  const firsts = own.map((tokens) => {
    const first = tokens.length > 0 ? ids.length : -1;
    ids.push(...tokens);
    return first;
  });
  return { ids: [...ids, ...after], firsts };
}
