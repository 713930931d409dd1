import type { TaskType } from './outline.ts';

/** What transformers' class names begin with, by `model_type`. */
const starts: Record<string, string> = {
  llama: 'Llama',
  mistral: 'Mistral',
  qwen2: 'Qwen2',
  qwen3: 'Qwen3',
  gpt2: 'GPT2',
  bert: 'Bert',
  roberta: 'Roberta',
  t5: 'T5',
};

const ends: Record<TaskType, string> = {
  CAUSAL_LM: 'ForCausalLM',
  SEQ_CLS: 'ForSequenceClassification',
  TOKEN_CLS: 'ForTokenClassification',
  SEQ_2_SEQ_LM: 'ForConditionalGeneration',
  FEATURE_EXTRACTION: 'Model',
};

/** Classes that are not named by the rule. */
const irregular: Record<string, string> = {
  GPT2ForCausalLM: 'GPT2LMHeadModel',
  T5Model: 'T5EncoderModel',
};

/** The class of a model with the task's head, as transformers calls it: what config.json has in `architectures`. */
export function modelClass(modelType: string, task: TaskType): string {
  const name = `${starts[modelType] ?? modelType}${ends[task]}`;
  return irregular[name] ?? name;
}

/** The task that a class of transformers is for; null when Graft has none like it. */
export function taskOfClass(name: string): TaskType | null {
  const regular = Object.entries(irregular).find(([, other]) => other === name)?.[0] ?? name;
  const found = Object.entries(ends).find(([, end]) => regular.endsWith(end));
  return found ? (found[0] as TaskType) : null;
}
