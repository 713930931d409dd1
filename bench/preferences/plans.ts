import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type PeftConfig,
  parsePeftConfig,
  type ResolvedTraining,
  resolveTraining,
} from '@graft/peft-core/config';
import { NO_TARGET, planTraining, readTrainingData, type TrainingExample } from '@graft/peft-core/examples';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { readJsonLines } from '../../scripts/sweep/rows/json-lines.ts';
import type { GraftPlan, Precision } from '../training/sides.ts';
import { adapters } from '../training/workloads.ts';

type Message = { role: string; content: string };
interface Pair {
  prompt: Message[];
  chosen: Message[];
  rejected: Message[];
}

const assistant = (content: string): Message[] => [{ role: 'assistant', content }];

/** The bike shop's pairs: answers of a few tokens under one system prompt. */
const shortAnswers = async (): Promise<Pair[]> => readJsonLines('examples/bike-shop/pairs.jsonl');

/** Tokens of a long answer, and maximum tokens of its prompt. */
const [minAnswer, maxAnswer, maxPrompt] = [100, 300, 150];

/**
 * Pairs of answers of 100 to 300 tokens to different questions, from the instructions of bench/training. The chosen answer is the one in
 * the file. The rejected answer is, alternately, the same one with its sentences in reverse order, and the answer to the next question.
 */
async function longAnswers(model: string): Promise<Pair[]> {
  const base = await openBaseModel(model);
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  await base.close();
  const lengthOf = (text: string) => tokenizer.encode(text, { addSpecialTokens: false }).length;
  const chats = readJsonLines<{ messages: Message[] }>('bench/training/testdata/instructions.jsonl')
    .map(({ messages }) => ({ prompt: messages.slice(0, -1), answer: messages.at(-1)!.content }))
    .filter(({ prompt }) => prompt.every(({ content }) => lengthOf(content) <= maxPrompt))
    .filter(({ answer }) => lengthOf(answer) >= minAnswer && lengthOf(answer) <= maxAnswer);
  return chats.map(({ prompt, answer }, i) => {
    const other = chats[(i + 1) % chats.length]!.answer;
    return {
      prompt,
      chosen: assistant(answer),
      rejected: assistant(i % 2 === 0 ? inReverse(answer) : other),
    };
  });
}

const inReverse = (text: string): string =>
  text
    .split(/(?<=[.!?:])\s+|\n+/)
    .toReversed()
    .join(' ');

export const batchSize = 8;
const maxSeqLength = 512;
const learningRate = 2e-5;
const beta = 0.1;

/** Reads the pairs of each comparison, by its name; `model` provides the tokenizer. */
export const recipes: Record<string, (model: string) => Promise<Pair[]>> = {
  'bike-shop': shortAnswers,
  'long-answers': longAnswers,
};

/** A tokenized pair, as TRL's collator reads it. */
export interface PairTokens {
  prompt_ids: number[];
  chosen_ids: number[];
  rejected_ids: number[];
}

export interface TrlPlan {
  model: string;
  dtype: 'float32' | 'bfloat16';
  peft: Record<string, unknown>;
  start: string;
  beta: number;
  learning_rate: number;
  max_length: number;
  batch_size: number;
  /** In the order of the batches. */
  pairs: PairTokens[];
}

export interface Plans {
  graft: GraftPlan;
  trl: TrlPlan;
}

/**
 * Plans one epoch of `steps` steps. `start` is the file of the adapter from which both sides start. Throws if the recipe has too few pairs.
 */
export async function plansFor(
  recipe: string,
  options: { model: string; start: string; precision: Precision; steps: number; folder: string },
): Promise<Plans> {
  const { model, start, precision, steps, folder } = options;
  const all = await recipes[recipe]!(model);
  const pairs = all.slice(0, steps * batchSize);
  if (pairs.length < steps * batchSize)
    throw new Error(`--steps must be at most ${Math.floor(all.length / batchSize)} for ${recipe}`);
  const trainingFile = join(folder, `${recipe}.jsonl`);
  await writeFile(trainingFile, pairs.map((pair) => JSON.stringify(pair)).join('\n'));
  const peft = parsePeftConfig({ ...adapters.small });
  const training = resolveTraining({
    peft,
    method: 'dpo',
    format: 'preference',
    exampleCount: pairs.length,
    training: {
      precision,
      batch_size: batchSize,
      n_epochs: 1,
      max_seq_length: maxSeqLength,
      learning_rate: learningRate,
      lr_scheduler_type: 'constant',
      warmup_steps: 0,
      weight_decay: 0,
      preference: { beta },
    },
  });
  return {
    graft: {
      model,
      trainingFile,
      peft,
      training,
      method: 'dpo',
      hasReference: true,
      initialParameters: start,
      outputDir: join(folder, 'adapter'),
    },
    trl: {
      model,
      dtype: precision === 'fp32' ? 'float32' : 'bfloat16',
      peft: { task_type: 'CAUSAL_LM', ...adapters.small },
      start,
      beta,
      learning_rate: learningRate,
      max_length: maxSeqLength,
      batch_size: batchSize,
      pairs: await inOrder(model, trainingFile, peft, training),
    },
  };
}

/** Tokenizes the pairs with Graft's tokenizer, in the order of its batches. */
async function inOrder(
  model: string,
  trainingFile: string,
  peft: PeftConfig,
  training: ResolvedTraining,
): Promise<PairTokens[]> {
  const base = await openBaseModel(model);
  await base.close();
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  const read = { trainingFile, tokenizer, modelConfig: base.config, peft, training, method: 'dpo' } as const;
  const { training: examples } = await readTrainingData(read);
  const plan = planTraining(examples, training, { virtualTokens: 0 });
  return Array.from({ length: plan.steps }, (_, step) =>
    [...new Set(plan.micro(step, 0).map(({ example }) => example))].map((i) => tokensOf(examples[i]!)),
  ).flat();
}

function tokensOf({ sequences, line }: TrainingExample): PairTokens {
  const [chosen, rejected] = sequences.map(({ ids, targets }) => {
    const first = targets!.findIndex((target) => target !== NO_TARGET);
    if (targets!.slice(first).includes(NO_TARGET))
      throw new Error(`the answers of line ${line} must be trained without gaps`);
    return { prompt: [...ids.slice(0, first + 1)], answer: [...targets!.slice(first)] };
  });
  return { prompt_ids: chosen!.prompt, chosen_ids: chosen!.answer, rejected_ids: rejected!.answer };
}
