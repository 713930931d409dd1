import { show } from '../../schema/check-fields.ts';
import { textFault } from './fields.ts';
import type { DatasetFormat } from './format.ts';

interface ScoredPair {
  texts: [string, string];
  /** Similarity of the texts, from −1 to 1. */
  score: number;
}

export const scoredPairs: DatasetFormat<'scored_pairs', ScoredPair> = {
  name: 'scored_pairs',
  title: 'two texts with how alike they are, from -1 to 1',
  fields: '{"sentence1", "sentence2", "score"}',
  called: '"sentence1", "sentence2" and "score"',
  sample: '{"sentence1": "A bent wheel", "sentence2": "A buckled rim", "score": 0.8}',
  tasks: ['FEATURE_EXTRACTION'],
  targets: 'none',
  columns: ['sentence1', 'sentence2', 'score'],
  matches: ({ sentence1, sentence2 }) => sentence1 !== undefined || sentence2 !== undefined,
  read(line) {
    const fault = textFault(line, 'sentence1') ?? textFault(line, 'sentence2');
    if (fault) return fault;
    const { sentence1, sentence2, score } = line;
    if (typeof score !== 'number' || !(score >= -1 && score <= 1))
      return `"score" must be a number from -1 to 1, the cosine that is wanted, got ${show(score)}`;
    return { texts: [sentence1 as string, sentence2 as string], score };
  },
  tokenize({ texts, score }, reading) {
    const sequences = texts.map((text, i) => reading.promptedText(`sentence${i + 1}`, text));
    const tokens = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
    return [{ sequences, tokens, score }];
  },
  prompt: ({ texts }) => texts[0],
};
