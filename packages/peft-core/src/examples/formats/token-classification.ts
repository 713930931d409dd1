import { show } from '../../schema/check-fields.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { NO_TARGET } from '../training-example.ts';
import { isLabel, LABEL, type Label } from './fields.ts';
import type { DatasetFormat } from './format.ts';
import { BadExample } from './reading.ts';

interface TaggedWords {
  words: string[];
  /** One for each word; null for a word without a label. */
  labels: (Label | null)[];
}

/** Marks a word without a label in a line: the index that transformers' losses ignore. */
const IGNORED = -100;

/** The first token of a word carries its class. */
export const tokenClassification: DatasetFormat<'token_classification', TaggedWords> = {
  name: 'token_classification',
  title: 'words with a class each',
  fields: '{"tokens", "labels"}',
  called: '"tokens" and "labels"',
  sample: '{"tokens": ["Brake", "squeals"], "labels": ["PART", -100]}',
  tasks: ['TOKEN_CLS'],
  targets: 'classes',
  columns: ['tokens', 'labels'],
  // With a text, `labels` are those of the whole text.
  matches: ({ tokens, labels, text }) => tokens !== undefined || (labels !== undefined && text === undefined),
  read({ tokens, labels }) {
    if (!Array.isArray(tokens) || tokens.length === 0) return '"tokens" must be a list of at least one word';
    if (!Array.isArray(labels) || labels.length !== tokens.length)
      return `"labels" must be a list of ${tokens.length} labels, one for each of "tokens"`;
    const word = tokens.findIndex((each) => typeof each !== 'string' || each.trim() === '');
    if (word !== -1) return `tokens[${word}] must be a word, got ${show(tokens[word])}`;
    const tag = labels.findIndex((each) => each !== IGNORED && !isLabel(each));
    if (tag !== -1)
      return `labels[${tag}] must be ${LABEL}, or ${IGNORED} for none, got ${show(labels[tag])}`;
    if (labels.every((each) => each === IGNORED)) return 'has no label to learn';
    return { words: tokens, labels: labels.map((each) => (each === IGNORED ? null : each)) };
  },
  tokenize({ words, labels }, reading) {
    const tokens = wordTokens(reading.tokenizer, words);
    const { after } = reading.tokenizer.specialTokensAround();
    const ids = Int32Array.from(reading.fit(tokens.ids, after));
    const most = ids.length - after.length;
    const targets = new Int32Array(ids.length).fill(NO_TARGET);
    let labelled = 0;
    for (const [word, label] of labels.entries()) {
      const at = tokens.firsts[word]!;
      if (label === null || at === -1) continue;
      labelled++;
      if (at < most) targets[at] = reading.classOf(label);
    }
    if (labelled === 0)
      throw new BadExample('example_empty', 'has no labelled word that the tokenizer knows');
    if (targets.every((target) => target === NO_TARGET)) throw reading.tooLong(`${tokens.ids.length}`);
    return [{ sequences: [{ ids, targets }], tokens: ids.length }];
  },
  prompt: ({ words }) => JSON.stringify(words),
  labels: ({ labels }) => labels.filter((label) => label !== null),
};

/** Words as one sequence of tokens with the special tokens around them. */
export interface WordTokens {
  ids: number[];
  /** Index in `ids` of each word's first token; −1 for a word that the tokenizer drops. */
  firsts: number[];
}

/** Tokens of words; each word is tokenised separately, as it would be in a text with spaces between words. */
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
