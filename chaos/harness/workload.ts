import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { writeTinyModel } from '@graft/peft-core/testing';
import { writeExamples } from '../../test/golden/fixtures/example-data.ts';

/** A kind of training whose every step must be reproduced exactly, however often it is interrupted. */
export interface Variant {
  name: string;
  /** Kind of training data; with `evaluated`, the other file of this kind is evaluated. */
  data: 'texts' | 'pairs';
  evaluated: boolean;
  /** Default: supervised. */
  method?: { type: 'dpo' };
  peft: Record<string, unknown>;
  hyperparameters: Record<string, unknown>;
  training: Record<string, unknown>;
  /** Default: `baseModel`. */
  model?: string;
}

const steps = 120;
export const checkpointSteps = 6;

const common = { max_steps: steps, checkpoint_steps: checkpointSteps, precision: 'fp32' };
const lora = { peft_type: 'LORA', r: 4, lora_dropout: 0.1, target_modules: ['q_proj', 'v_proj'] };

export const variants: readonly Variant[] = [
  {
    name: 'LoRA with dropout',
    data: 'texts',
    evaluated: false,
    peft: lora,
    hyperparameters: { batch_size: 4, n_epochs: 50 },
    training: common,
  },
  {
    name: 'LoRA, accumulation, cosine schedule, evaluation',
    data: 'texts',
    evaluated: true,
    peft: { ...lora, use_dora: true },
    hyperparameters: { batch_size: 4, n_epochs: 50 },
    training: {
      ...common,
      gradient_accumulation_steps: 2,
      lr_scheduler_type: 'cosine',
      warmup_steps: 16,
      eval_steps: 20,
    },
  },
  {
    name: 'P-tuning with its encoder',
    data: 'texts',
    evaluated: false,
    peft: { peft_type: 'P_TUNING', num_virtual_tokens: 8, encoder_hidden_size: 32 },
    hyperparameters: { batch_size: 4, n_epochs: 50 },
    training: common,
  },
  {
    name: 'preferences with a reference, evaluation',
    data: 'pairs',
    evaluated: true,
    method: { type: 'dpo' },
    peft: lora,
    hyperparameters: { batch_size: 4, n_epochs: 50 },
    training: { ...common, eval_steps: 20 },
  },
];

/** In the precision that the worker chooses, and with fp32 or bf16 chosen explicitly. */
export const automatic: Variant = {
  ...variants[0]!,
  name: 'automatic precision',
  training: { ...common, precision: 'auto' },
};
export const inFp32 = variants[0]!;
export const inBf16: Variant = {
  ...inFp32,
  name: 'LoRA in bf16',
  training: { ...common, precision: 'bf16' },
};

/** For tests that count jobs rather than steps. */
export const quick: Variant = {
  name: 'a few steps',
  data: 'texts',
  evaluated: false,
  peft: lora,
  hyperparameters: { batch_size: 4, n_epochs: 1 },
  training: { ...common, max_steps: 4 },
};

/** With a few checkpoints. */
export const brief: Variant = {
  ...quick,
  name: 'a dozen steps',
  training: { ...common, max_steps: 12, checkpoint_steps: 3 },
};

export const baseModel = 'tiny-llama';

/** Training of a base model whose exports take long enough to be hit while they are written. */
export const large: Variant = { ...quick, name: 'a few steps of a larger model', model: 'small-llama' };
const largeSizes = { num_hidden_layers: 4, hidden_size: 256, intermediate_size: 1024, head_dim: 64 };

export interface WorkloadFiles {
  /** For GRAFT_BASE_MODELS. */
  baseModels: string;
  data: Record<Variant['data'], { training: string; validation: string }>;
}

/** A tiny randomly initialised llama, slow enough (a few ms a step) for faults to hit steps, and its data. */
export async function writeWorkload(folder: string): Promise<WorkloadFiles> {
  await mkdir(folder, { recursive: true });
  const model = path.join(folder, 'model');
  await writeTinyModel(model, { num_hidden_layers: 3 });
  const largeModel = path.join(folder, 'large-model');
  await writeTinyModel(largeModel, largeSizes);
  const files: WorkloadFiles = {
    baseModels: path.join(folder, 'base-models.json'),
    data: {
      texts: {
        training: path.join(folder, 'training.jsonl'),
        validation: path.join(folder, 'validation.jsonl'),
      },
      pairs: {
        training: path.join(folder, 'training-pairs.jsonl'),
        validation: path.join(folder, 'validation-pairs.jsonl'),
      },
    },
  };
  await writeFile(
    files.baseModels,
    JSON.stringify({ [baseModel]: { folder: model }, [large.model!]: { folder: largeModel } }),
  );
  const { texts, pairs } = files.data;
  await writeExamples(texts.training, 'prompt_completion', 60);
  await writeExamples(texts.validation, 'prompt_completion', 12);
  await writePairs(pairs.training, 60);
  await writePairs(pairs.validation, 12);
  return files;
}

async function writePairs(file: string, count: number): Promise<void> {
  const lines = Array.from({ length: count }, (_, i) =>
    JSON.stringify({ prompt: `Which of ${i}?`, chosen: ` the first, ${i}`, rejected: ` none of ${3 * i}` }),
  );
  await writeFile(file, lines.join('\n'));
}
