import { taskOfClass } from './model-class.ts';
import type { TaskType } from './outline.ts';

/** What a family's base models are for, where that is not to go on with a text. */
const familyTasks: Record<string, TaskType> = {
  bert: 'FEATURE_EXTRACTION',
  roberta: 'FEATURE_EXTRACTION',
  t5: 'SEQ_2_SEQ_LM',
};

/** The task of a base model that nobody gave one: that of the class it was saved from, or what its family is for. */
export function defaultTask(config: Record<string, unknown>): TaskType {
  const family = familyTasks[String(config.model_type)] ?? 'CAUSAL_LM';
  if (family === 'SEQ_2_SEQ_LM') return family;
  const [saved] = Array.isArray(config.architectures) ? config.architectures : [];
  return (typeof saved === 'string' ? taskOfClass(saved) : null) ?? family;
}
