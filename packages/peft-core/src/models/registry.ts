import { type ModelType, requireModelType } from '../outlines/families.ts';
import { defaultTask, type TaskType } from '../outlines/index.ts';
import type { Architecture, MakeArchitecture } from './architecture.ts';
import { bert } from './bert.ts';
import { gpt2 } from './gpt2.ts';
import { llama } from './llama.ts';
import { mistral } from './mistral.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';
import { roberta } from './roberta.ts';
import { t5 } from './t5.ts';

/** The forward pass of every family in `outlines/families.ts`. */
const rows: Record<ModelType, MakeArchitecture> = {
  llama,
  mistral,
  qwen2,
  qwen3,
  gpt2,
  bert,
  roberta,
  t5,
};

/** The architecture of a base model for a task. Throws `unsupported_model` naming the supported ones, and `unsupported_task`. */
export function architectureFor(
  modelType: string,
  config: Record<string, unknown>,
  task: TaskType = defaultTask(config),
): Architecture {
  return rows[requireModelType(modelType)](config, task);
}
