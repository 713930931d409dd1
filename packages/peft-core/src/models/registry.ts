import { GraftError } from '../errors.ts';
import { defaultTask, type TaskType } from '../outlines/index.ts';
import type { Architecture } from './architecture.ts';
import { bert } from './bert.ts';
import { gpt2 } from './gpt2.ts';
import { llama } from './llama.ts';
import { mistral } from './mistral.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';
import { roberta } from './roberta.ts';
import { t5 } from './t5.ts';

/** Every architecture, by Hugging Face `model_type`; `outlines/index.ts` has the same rows. */
const architectures: Record<string, (config: Record<string, unknown>, task: TaskType) => Architecture> = {
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
  const make = Object.hasOwn(architectures, modelType) ? architectures[modelType] : undefined;
  if (make) return make(config, task);
  const known = Object.keys(architectures).join(', ');
  throw new GraftError(
    'unsupported_model',
    `model_type "${modelType}" is not supported; supported: ${known}`,
    { param: 'model' },
  );
}
