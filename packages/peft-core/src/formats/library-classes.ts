import type { PeftConfig } from '../config.ts';
import { GraftError } from '../errors.ts';

const classPrefixes: Record<string, string> = {
  llama: 'Llama',
  mistral: 'Mistral',
  qwen2: 'Qwen2',
  qwen3: 'Qwen3',
  gpt2: 'GPT2',
  bert: 'Bert',
  roberta: 'Roberta',
  t5: 'T5',
};

type Task = PeftConfig['task_type'];
const classEnds: Record<Task, string> = {
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

/** The class of a model with the task's head, as transformers calls it. */
export function modelClass(modelType: string, task: Task): string {
  const name = `${classPrefixes[modelType] ?? modelType}${classEnds[task]}`;
  return irregular[name] ?? name;
}

/** The task that a class of transformers is for. Throws `invalid_adapter` when Graft has none like it. */
export function taskOfClass(name: string): Task {
  const regular = Object.entries(irregular).find(([, other]) => other === name)?.[0] ?? name;
  const found = Object.entries(classEnds).find(([, end]) => regular.endsWith(end));
  if (found) return found[0] as Task;
  throw new GraftError('invalid_adapter', `model_class: "${name}" is for no task that Graft has`, {
    param: 'adapter',
  });
}
