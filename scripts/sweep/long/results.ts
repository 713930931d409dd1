import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { readJsonLines } from '../rows/json-lines.ts';

/** What a long run may differ in, its seed aside. */
export interface Setting {
  r: number;
  lora_alpha: number;
  batch_size: number;
  learning_rate: number;
}

/** One training that is to be done. */
export interface LongTrial extends Setting {
  seed: number;
}

/** What was trained for so long, and what its automatic rate depends on: the model need not be there to compare its runs. */
export interface Experiment {
  /** As --model names it; of a folder or a file, its name without the path. */
  model: string;
  model_type: string;
  hidden_size: number;
  task: string;
  /** Of the task's rows. */
  data: string;
  steps: number;
}

/** One training that was done: a line of long-results.jsonl. */
export interface LongResult extends Experiment, LongTrial {
  /** On the validation rows after the last step, in nats per token; null: training diverged. */
  loss: number | null;
  /** Of the questions; null where none are asked, 0 after a run that diverged. */
  right: number | null;
  seconds: number;
}

const file = 'scripts/sweep/long-results.jsonl';
const path = join(import.meta.dirname, '../../..', file);

/** Nothing was measured where there is no such file. */
export const readLongResults = (): LongResult[] => (existsSync(path) ? readJsonLines<LongResult>(file) : []);

/** Adds a run at once, so that one that is stopped costs no other. */
export const keepLongResult = (result: LongResult): void =>
  appendFileSync(path, `${JSON.stringify(result)}\n`);

const experimentKeys = ['model', 'task', 'data', 'steps'] as const;
const settingKeys = ['r', 'lora_alpha', 'batch_size', 'learning_rate'] as const;

export const isSameExperiment = (a: Experiment, b: Experiment): boolean =>
  experimentKeys.every((key) => a[key] === b[key]);

export const isSameSetting = (a: Setting, b: Setting): boolean =>
  settingKeys.every((key) => a[key] === b[key]);
