import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { classes, demoFile, longPrompts, rewritten, textsOf } from './data.ts';
import type { Precision } from './sides.ts';

/** Base models, described in testdata/models.json. */
export type ModelName = 'SmolLM2-135M' | 'MiniLM' | 'Gemma-3-270M' | 'encoder-decoder';

export interface Workload {
  name: string;
  trainingFile: string;
  batchSize: number;
  /** Fields of a PEFT config. */
  peft: Record<string, unknown>;
  /** Training options of Graft that have no counterpart in HF PEFT. */
  training?: Record<string, unknown>;
  /** False: Graft computes a beginning that examples share once for each of them. Default: once for all. */
  sharesBeginnings?: boolean;
}

/** A workload before its data are written, and how it is measured. */
export interface Recipe extends Omit<Workload, 'name' | 'trainingFile'> {
  model: ModelName;
  precisions: readonly Precision[];
  /** The model's name in GRAFT_ACCEPTED_TERMS, without which it is not used. */
  terms?: string;
  /** Measures only Graft. */
  alone?: boolean;
  /** Upper limit of --steps: measuring memory needs few. */
  maxSteps?: number;
  /** Writes the data to `file` unless they exist already, and returns their path; `model` provides the tokenizer. */
  data(file: string, model: string): Promise<string>;
}

/** Adapters to train: small (8 ranks on two modules of a layer) or large (16 on all), by name. */
export const adapters: Record<
  'small' | 'large' | 'classifier' | 'rewriter',
  Record<string, unknown>
> = JSON.parse(await readFile(join(import.meta.dirname, 'testdata/adapters.json'), 'utf8'));

const languageModel = {
  model: 'SmolLM2-135M',
  precisions: ['fp32', 'bf16'],
  batchSize: 8,
  peft: adapters.small,
} as const;
const demo: Recipe = { ...languageModel, data: async () => demoFile };
const inBf16 = { precisions: ['bf16'] } as const;
const oneExampleOf = (tokens: number): Recipe => ({
  ...languageModel,
  ...inBf16,
  batchSize: 1,
  alone: true,
  maxSteps: 6,
  training: { max_seq_length: tokens },
  data: async (file, model) => await textsOf(file, model, 8, tokens),
});

export const recipes: Record<string, Recipe> = {
  synthetic: {
    ...languageModel,
    batchSize: 4,
    data: async (file, model) => await textsOf(file, model, 64, 256),
  },
  demo,
  'demo-all': { ...demo, peft: adapters.large },
  'demo-unshared': { ...demo, ...inBf16, sharesBeginnings: false },
  'demo-int8': { ...demo, ...inBf16, training: { base_dtype: 'int8' } },
  'demo-nf4': { ...demo, ...inBf16, training: { base_dtype: 'nf4' } },
  // 400 questions and answers of 4 to 400 words, all with different beginnings.
  mixed: { ...languageModel, data: async () => join(import.meta.dirname, 'testdata/instructions.jsonl') },
  'long-prompt': { ...languageModel, data: longPrompts },
  // A large vocabulary (262,144) for its width (640).
  gemma: {
    ...languageModel,
    ...inBf16,
    model: 'Gemma-3-270M',
    terms: 'gemma-3-270m',
    batchSize: 4,
    data: async (file, model) => await textsOf(file, model, 64, 256),
  },
  'one-1024': oneExampleOf(1024),
  'one-4096': oneExampleOf(4096),
  classifier: { ...languageModel, model: 'MiniLM', batchSize: 16, peft: adapters.classifier, data: classes },
  rewriting: { ...languageModel, model: 'encoder-decoder', peft: adapters.rewriter, data: rewritten },
};

/** A workload with its data, which are written below `folder`. */
export async function workloadOf(
  name: string,
  recipe: Recipe,
  model: string,
  folder: string,
): Promise<Workload> {
  const { model: _, precisions: __, alone: ___, maxSteps: ____, terms: _____, data, ...rest } = recipe;
  return { name, ...rest, trainingFile: await data(join(folder, `${name}.jsonl`), model) };
}
