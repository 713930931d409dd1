import { families, familyOf } from './families.ts';
import type { TaskType } from './outline.ts';

const ends: Record<TaskType, string> = {
  CAUSAL_LM: 'ForCausalLM',
  SEQ_CLS: 'ForSequenceClassification',
  TOKEN_CLS: 'ForTokenClassification',
  SEQ_2_SEQ_LM: 'ForConditionalGeneration',
  FEATURE_EXTRACTION: 'Model',
};

/** The class of a model with the task's head, as transformers calls it: what config.json has in `architectures`. */
export function modelClass(modelType: string, task: TaskType): string {
  const { className, classes } = familyOf(modelType);
  return classes?.[task] ?? `${className}${ends[task]}`;
}

/** The task that a class of transformers is for; null when Graft has none like it. */
export function taskOfClass(name: string): TaskType | null {
  const tasks = Object.keys(ends) as TaskType[];
  const irregular = tasks.find((task) => families.some(({ classes }) => classes?.[task] === name));
  return irregular ?? tasks.find((task) => name.endsWith(ends[task])) ?? null;
}

/** The task of a base model when none is asked for: that of the class it was saved from, or else its family's. */
export function defaultTask(config: Record<string, unknown>): TaskType {
  const family = families.find(({ modelType }) => modelType === config.model_type);
  const { defaultTask } = family ?? { defaultTask: 'CAUSAL_LM' };
  if (defaultTask === 'SEQ_2_SEQ_LM') return defaultTask;
  const [saved] = Array.isArray(config.architectures) ? config.architectures : [];
  return (typeof saved === 'string' ? taskOfClass(saved) : null) ?? defaultTask;
}
