import type { TaskType } from '@graft/peft-core/outlines';
import { sha256 } from '../../packages/peft-core/src/sha256.ts';
import { shopChats, shopLabels } from './rows/bike-shop.ts';
import { instructions } from './rows/instructions.ts';
import { nodeDocumentation } from './rows/node-documentation.ts';
import { orders } from './rows/orders.ts';

/**
 * The real models. A trial on the language model takes longer, but varies less from seed to seed
 * than a classifier, whose head is initialised by the seed.
 */
export const models = {
  smollm2: { maxSteps: 40, seeds: [42] },
  minilm: { maxSteps: 64, seeds: [42, 43, 44, 45] },
} as const;
export type ModelName = keyof typeof models;

/** What is trained, and measured on held-out rows. */
export interface Task {
  about: string;
  model: ModelName;
  type: TaskType;
  /** `rule`: the automatic values were chosen by it; `held out`: it only says whether they are good. */
  use: 'rule' | 'held out';
  /** How losses are measured, where that has changed: those of before compare with none of now. */
  measure?: string;
  data(): { training: object[]; validation: object[] };
}

/** The first rows to measure on, the next to train on. */
function split(rows: object[], validation: number, training: number) {
  return { validation: rows.slice(0, validation), training: rows.slice(validation, validation + training) };
}

/** Short ones: a trial is to cost seconds. */
const described = () =>
  nodeDocumentation().filter(({ module, text }) => module !== 'inspector' && text.length <= 80);
const longerTexts = () =>
  nodeDocumentation().flatMap(({ text }) => (text.length > 80 ? [{ text: plain(text) }] : []));
const topics = ['fs', 'crypto', 'http', 'http2', 'util', 'test', 'tls', 'perf_hooks', 'stream', 'buffer'];

export const tasks: Record<string, Task> = {
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
    model: 'smollm2',
    type: 'CAUSAL_LM',
    use: 'rule',
    data: shopChats,
  },
  orders: {
    about: 'extraction: a sentence to JSON, generated',
    model: 'smollm2',
    type: 'CAUSAL_LM',
    use: 'rule',
    data: () => split(orders(5040), 40, 5000),
  },
  'few-chats': {
    about: 'the same, few messages',
    model: 'smollm2',
    type: 'CAUSAL_LM',
    use: 'rule',
    data() {
      const { training, validation } = shopChats();
      return { validation, training: training.slice(0, 40) };
    },
  },
  'few-answers': {
    about: 'few instructions with longer prose for answers',
    model: 'smollm2',
    type: 'CAUSAL_LM',
    use: 'rule',
    data: () => split(instructions({ least: 400, most: 600 }), 10, 30),
  },
  'few-texts': {
    about: 'continuation: technical prose, few texts',
    model: 'smollm2',
    type: 'CAUSAL_LM',
    use: 'rule',
    data: () => split(longerTexts(), 24, 40),
  },
  names: {
    about: 'reverse dictionary: a description to a name',
    model: 'smollm2',
    type: 'CAUSAL_LM',
    use: 'held out',
    data: () => split(described().map(nameOf), 48, 500),
  },
  instructions: {
    about: 'instructions with prose for answers',
    model: 'smollm2',
    type: 'CAUSAL_LM',
    use: 'held out',
    data: () => split(instructions({ most: 200 }), 10, 30),
  },
  prose: {
    about: 'continuation: technical prose',
    model: 'smollm2',
    type: 'CAUSAL_LM',
    use: 'held out',
    data: () =>
      split(
        described().map(({ text }) => ({ text })),
        32,
        120,
      ),
  },
};

const plain = (text: string) => text.replaceAll('`', '');
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

/** Of a task's data and measure: trials of others say nothing of it. */
export function digestOf({ data, measure }: Task): string {
  return sha256(JSON.stringify(data()) + (measure ?? '')).slice(0, 12);
}
