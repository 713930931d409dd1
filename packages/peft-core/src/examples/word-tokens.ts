import type { Tokenizer } from '../text/tokenizer.ts';

/** Words as one sequence of tokens, special ones around them. */
export interface WordTokens {
  ids: number[];
  /** Index in `ids` of each word's first token; −1 for a word that the tokenizer drops. */
  firsts: number[];
}

/** Tokens of words, each word tokenised alone, as it would be in a text with spaces between words. */
export function wordTokens(tokenizer: Tokenizer, words: readonly string[]): WordTokens {
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const spaced = words.map((word, i) => encode(i === 0 ? word : ` ${word}`));
  // With some tokenizers (ByteLevel) the space before a word is part of its tokens, with others (WordPiece) not.
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
