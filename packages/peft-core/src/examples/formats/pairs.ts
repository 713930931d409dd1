import { GraftError } from '../../errors.ts';
import { textKey, textOf } from '../text-numbers.ts';
import type { Sequence, TrainingExample } from '../training-example.ts';
import { textFault } from './fields.ts';
import type { Contrast, DatasetFormat, FileCheck } from './format.ts';

interface Pair {
  /** Anchor, positive and, if given, negative. */
  texts: string[];
}

const ROLES = ['anchor', 'positive', 'negative'] as const;

/** Contrastive pairs: the model learns to find an anchor's positive among the other texts of a batch. */
export const pairs: DatasetFormat<'pairs', Pair> = {
  name: 'pairs',
  title: 'two texts that belong together, if you like with a "negative" that does not',
  fields: '{"anchor", "positive"}',
  called: '"anchor" and "positive"',
  sample: '{"anchor": "My brake squeals", "positive": "How to clean brake pads"}',
  tasks: ['FEATURE_EXTRACTION'],
  targets: 'none',
  columns: ['anchor', 'text_a', 'positive', 'negative'],
  matches: ({ anchor, text_a, positive }) =>
    anchor !== undefined || text_a !== undefined || positive !== undefined,
  read(line) {
    if (line.anchor !== undefined && line.text_a !== undefined)
      return 'has both "anchor" and "text_a", which mean the same';
    const first = line.text_a === undefined ? 'anchor' : 'text_a';
    const fields = [first, 'positive', ...(line.negative === undefined ? [] : ['negative'])];
    const fault = fields.map((field) => textFault(line, field)).find((each) => each !== null);
    return fault ?? { texts: fields.map((field) => line[field] as string) };
  },
  tokenize({ texts }, reading) {
    const sequences = texts.map(
      (text, i): Sequence => ({ ...reading.promptedText(ROLES[i]!, text), role: ROLES[i]! }),
    );
    const tokens = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
    return [{ sequences, tokens }];
  },
  prompt: ({ texts }) => texts[0]!,
  fileCheck: () => new PairContrast(),
};

/**
 * Checks whether pairs can have an effect in contrastive training. Pairs with a common text are not negatives of each other
 * (`contrastiveLoss`), so training has an effect only if two pairs have no common text, or if a pair has a `negative`.
 */
class PairContrast implements FileCheck {
  /** Texts that all pairs so far contain. */
  #common: Set<string> | null = null;
  /** Up to four of all texts: pairs can overlap two by two without a text common to all only if there are three texts in total. */
  readonly #texts = new Set<string>();
  #hasNegative = false;
  #hasOneText = false;

  add({ sequences }: Pick<TrainingExample, 'sequences'>): void {
    this.#hasNegative ||= sequences.some(({ role }) => role === 'negative');
    if (this.#hasNegative) return;
    const texts = new Set(sequences.map((each) => textKey(textOf(each))));
    const common = this.#common;
    this.#common = common ? new Set([...common].filter((text) => texts.has(text))) : texts;
    if (texts.size === 1) this.#hasOneText = true;
    for (const text of texts) if (this.#texts.size < 4) this.#texts.add(text);
  }

  /** Throws GraftError `data_unfit_for_task` or `invalid_training_option` (`training.batch_size`) if training has no effect. */
  check(contrast: Contrast): void {
    if (this.#hasNegative || !this.#common) return;
    const isTriangle = this.#texts.size < 4 && !this.#hasOneText;
    if (this.#common.size > 0 || isTriangle) {
      throw new GraftError(
        'data_unfit_for_task',
        'these pairs have no negatives to train with: an anchor is compared with the texts of other pairs, and any two of these have a text in common; add pairs of other texts, or a "negative" to each',
        { param: 'training_file' },
      );
    }
    if (contrast === 'batch') return;
    throw new GraftError(
      'invalid_training_option',
      'training.batch_size: is 1, and the pairs have no "negative", so that an anchor has no negative to train with; use 2 or more (automatic: 32), with training.mini_batch_size 1 where memory is short',
      { param: 'training.batch_size' },
    );
  }
}
