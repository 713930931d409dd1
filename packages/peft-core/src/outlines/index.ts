/** Model families, and a model's outline from its config.json. Loads no TensorFlow. */
import { familyOf } from './families.ts';
import { defaultTask } from './model-class.ts';
import type { ModelOutline, TaskType } from './outline.ts';

export { modelTypes } from './families.ts';
export { ownLabels } from './label-names.ts';
export { autoClass, defaultTask } from './model-class.ts';
export {
  isClassifier,
  type ModelOutline,
  type ModuleDescription,
  type ParameterSpec,
  type ResidualSite,
  TASK_TYPES,
  type TaskType,
  writesText,
} from './outline.ts';

/** The outline of a model used for `task`. Throws `unsupported_model`, `unsupported_task`, `invalid_model_config`. */
export function outlineOf(
  config: Record<string, unknown>,
  task: TaskType = defaultTask(config),
): ModelOutline {
  return familyOf(String(config.model_type)).outline(config, task);
}
