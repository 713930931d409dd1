/** What a config.json says of a model. Loads no TensorFlow. */
import { GraftError } from '../errors.ts';
import { bertOutline } from './bert.ts';
import { defaultTask } from './default-task.ts';
import { gpt2Outline } from './gpt2.ts';
import { llamaOutline } from './llama.ts';
import { mistralOutline } from './mistral.ts';
import type { ModelOutline, TaskType } from './outline.ts';
import { qwen2Outline } from './qwen2.ts';
import { qwen3Outline } from './qwen3.ts';
import { robertaOutline } from './roberta.ts';
import { t5Outline } from './t5.ts';

export { defaultTask } from './default-task.ts';
export { ownLabels } from './label-names.ts';
export {
  type DefaultTargets,
  isClassifier,
  type ModelOutline,
  type ModuleDescription,
  type ParameterSpec,
  type ResidualSite,
  TASK_TYPES,
  type TaskType,
} from './outline.ts';

/** Every architecture, by Hugging Face `model_type`; `models/registry.ts` has the same rows. */
const outlines: Record<string, (config: Record<string, unknown>, task: TaskType) => ModelOutline> = {
  llama: llamaOutline,
  mistral: mistralOutline,
  qwen2: qwen2Outline,
  qwen3: qwen3Outline,
  gpt2: gpt2Outline,
  bert: bertOutline,
  roberta: robertaOutline,
  t5: t5Outline,
};

/** Every supported `model_type`. */
export const modelTypes: readonly string[] = Object.keys(outlines);

/** The outline of a model used for `task`. Throws `unsupported_model`, `unsupported_task`, `invalid_model_config`. */
export function outlineOf(
  config: Record<string, unknown>,
  task: TaskType = defaultTask(config),
): ModelOutline {
  const modelType = String(config.model_type);
  const make = Object.hasOwn(outlines, modelType) ? outlines[modelType] : undefined;
  if (make) return make(config, task);
  throw new GraftError(
    'unsupported_model',
    `model_type "${modelType}" is not supported; supported: ${modelTypes.join(', ')}`,
    { param: 'model' },
  );
}
