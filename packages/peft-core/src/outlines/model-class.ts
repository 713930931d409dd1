import { families, familyOf } from './families.ts';
import type { TaskType } from './outline.ts';

const ends: Record<TaskType, string> = {
  CAUSAL_LM: 'ForCausalLM',
  SEQ_CLS: 'ForSequenceClassification',
  TOKEN_CLS: 'ForTokenClassification',
  SEQ_2_SEQ_LM: 'ForConditionalGeneration',
  FEATURE_EXTRACTION: 'Model',
};

/** transformers' class of a model with the task's head, as in `architectures` of config.json. */
export function modelClass(modelType: string, task: TaskType): string {
  const { className, classes } = familyOf(modelType);
  return classes?.[task] ?? `${className}${ends[task]}`;
}

/** Classes of transformers that load a model for a task, by its config.json. */
const autoClasses: Record<TaskType, string> = {
  CAUSAL_LM: 'AutoModelForCausalLM',
  SEQ_CLS: 'AutoModelForSequenceClassification',
  TOKEN_CLS: 'AutoModelForTokenClassification',
  SEQ_2_SEQ_LM: 'AutoModelForSeq2SeqLM',
  FEATURE_EXTRACTION: 'AutoModel',
};

/**
 * The class of transformers with whose `from_pretrained` a model loads for a task. AutoModelForCausalLM knows some models with images not at
 * all, and of others only the text part, whose modules have other names. Without the model's config the class is the task's. Source: transformers, models/auto/modeling_auto.py.
 */
export function autoClass(config: Record<string, unknown>, task: TaskType): string {
  const family = families.find(({ modelType }) => modelType === config.model_type);
  const hasImages = task === 'CAUSAL_LM' && family?.classes?.CAUSAL_LM?.endsWith('ForConditionalGeneration');
  return hasImages ? 'AutoModelForImageTextToText' : autoClasses[task];
}

/** The task of a transformers class; null if Graft has no such task. */
export function taskOfClass(name: string): TaskType | null {
  const tasks = Object.keys(ends) as TaskType[];
  const irregular = tasks.find((task) => families.some(({ classes }) => classes?.[task] === name));
  return irregular ?? tasks.find((task) => name.endsWith(ends[task])) ?? null;
}

/** The default task of a base model: that of the class that saved it, else its family's. */
export function defaultTask(config: Record<string, unknown>): TaskType {
  const family = families.find(({ modelType }) => modelType === config.model_type);
  const { defaultTask } = family ?? { defaultTask: 'CAUSAL_LM' };
  if (defaultTask === 'SEQ_2_SEQ_LM') return defaultTask;
  const [saved] = Array.isArray(config.architectures) ? config.architectures : [];
  return (typeof saved === 'string' ? taskOfClass(saved) : null) ?? defaultTask;
}
