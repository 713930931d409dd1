import type { TaskType } from '@graft/peft-core/outlines';
import { shopChats, shopLabels } from './rows/bike-shop.ts';
import { domDocumentation, interfaceRows } from './rows/dom-documentation.ts';
import { instructions } from './rows/instructions.ts';
import { nodeDocumentation, plain, topics } from './rows/node-documentation.ts';
import { orders } from './rows/orders.ts';
import { digestOf, type Rows, split, type Task } from './sweep.ts';

/**
 * The real models. A trial on the language model takes longer, but varies less from seed to seed
 * than a classifier, whose head is initialised by the seed.
 */
export const models = {
  smollm2: { maxSteps: 40, seeds: [42] },
  minilm: { maxSteps: 64, seeds: [42, 43, 44, 45] },
} as const;
export type ModelName = keyof typeof models;

export interface UsualTask extends Task {
  model: ModelName;
  type: TaskType;
  /** How losses are measured, where that has changed: those of before compare with none of now. */
  measure?: string;
  data(): Rows;
}

/** The data of a language model on which the rule is set, or that check it. */
const languageModel = { model: 'smollm2', type: 'CAUSAL_LM' } as const;

/** Short ones: a trial is to cost seconds. */
const described = () =>
  nodeDocumentation().filter(({ module, text }) => module !== 'inspector' && text.length <= 80);
const longerTexts = () =>
  nodeDocumentation().flatMap(({ text }) => (text.length > 80 ? [{ text: plain(text) }] : []));

export const tasks: Record<string, UsualTask> = {
  urgency: {
    about: 'two classes, few messages',
    model: 'minilm',
    type: 'SEQ_CLS',
    use: 'rule',
    data() {
      const { training, validation } = shopLabels((answer) => answer.split('/')[1]!);
      return { validation, training: training.slice(0, 60) };
    },
  },
  teams: {
    about: 'five classes, seen often',
    model: 'minilm',
    type: 'SEQ_CLS',
    use: 'rule',
    data: () => shopLabels((answer) => answer.split('/')[0]!),
  },
  descriptions: {
    about: 'embedding: a description and its function',
    model: 'minilm',
    type: 'FEATURE_EXTRACTION',
    use: 'rule',
    measure: 'one pool',
    data: () => split(described().map(pairOf), 48, 500),
  },
  modules: {
    about: 'ten topics',
    model: 'minilm',
    type: 'SEQ_CLS',
    use: 'held out',
    data: () => split(described().flatMap(topicOf), 48, 300),
  },
  messages: {
    about: 'ten classes',
    model: 'minilm',
    type: 'SEQ_CLS',
    use: 'held out',
    data: () => shopLabels((answer) => answer),
  },
  code: {
    about: 'words: which are code',
    model: 'minilm',
    type: 'TOKEN_CLS',
    use: 'held out',
    data: () =>
      split(
        described()
          .filter(({ text }) => text.includes('`'))
          .map(wordsOf),
        48,
        300,
      ),
  },
  'bike-shop': {
    about: 'chat: which team a message goes to',
    ...languageModel,
    use: 'rule',
    data: shopChats,
  },
  orders: {
    about: 'extraction: a sentence to JSON, generated',
    ...languageModel,
    use: 'rule',
    data: () => split(orders(5040), 40, 5000),
  },
  'few-chats': {
    about: 'the same, few messages',
    ...languageModel,
    use: 'rule',
    data() {
      const { training, validation } = shopChats();
      return { validation, training: training.slice(0, 40) };
    },
  },
  'few-answers': {
    about: 'few instructions with longer prose for answers',
    ...languageModel,
    use: 'rule',
    data: () => split(instructions({ least: 400, most: 600 }), 10, 30),
  },
  'few-texts': {
    about: 'continuation: technical prose, few texts',
    ...languageModel,
    use: 'rule',
    data: () => split(longerTexts(), 24, 40),
  },
  names: {
    about: 'reverse dictionary: a description to a name',
    ...languageModel,
    use: 'held out',
    data: () => split(described().map(nameOf), 48, 500),
  },
  instructions: {
    about: 'instructions with prose for answers',
    ...languageModel,
    use: 'held out',
    data: () => split(instructions({ most: 200 }), 10, 30),
  },
  prose: {
    about: 'continuation: technical prose',
    ...languageModel,
    use: 'held out',
    data: () =>
      split(
        described().map(({ text }) => ({ text })),
        32,
        120,
      ),
  },
};

const pairOf = ({ module, name, text }: { module: string; name: string; text: string }) => ({
  anchor: plain(text),
  positive: `${module}.${name}`,
});
const nameOf = ({ name, text }: { name: string; text: string }) => ({
  prompt: `${plain(text)}\n→ `,
  completion: name,
});
const topicOf = ({ module, text }: { module: string; text: string }) =>
  topics.includes(module) ? [{ text: plain(text), label: module }] : [];

function wordsOf({ text }: { text: string }) {
  // Every second piece lies between two backticks.
  const pieces = text.split('`').map((piece, at) => ({ words: piece.split(' ').filter(Boolean), at }));
  return {
    tokens: pieces.flatMap(({ words }) => words),
    labels: pieces.flatMap(({ words, at }) => words.map(() => (at % 2 === 1 ? 'code' : 'text'))),
  };
}

/** Digest of a task's rows and measure. */
export const dataOf = ({ data, measure }: UsualTask): string => digestOf(data(), measure);

/** How many questions a scored task asks: two more or fewer right are within what seeds change. */
export const QUESTIONS = 60;

/** Tasks of a language model in long runs, in the order in which they are measured. No rule was set by one of them. */
export interface LongTask extends Pick<Task, 'about'> {
  /** True where answers are counted; else the validation loss alone shows how good a run is. */
  isScored: boolean;
  data(): Rows;
}

export const longTasks: Record<string, LongTask> = {
  interfaces: {
    about: 'which browser interface a described member belongs to, of some 270',
    isScored: true,
    data: () =>
      split(
        interfaceRows().map(({ prompt, completion }) => ({ prompt, completion })),
        QUESTIONS,
      ),
  },
  reference: {
    about: 'continuation: reference documentation of browsers',
    isScored: false,
    data: () =>
      split(
        domDocumentation().map(({ text }) => ({ text })),
        100,
      ),
  },
};

/** Each validation row of a scored task: a prompt for a trained model, and the only right answer. */
export function questionsOf({ isScored, data }: LongTask): { prompt: string; answer: string }[] {
  if (!isScored) return [];
  const rows = data().validation as { prompt: string; completion: string }[];
  return rows.slice(0, QUESTIONS).map(({ prompt, completion }) => ({ prompt, answer: completion.trim() }));
}
