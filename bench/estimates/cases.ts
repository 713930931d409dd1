/** A training that is estimated and measured. */
export interface Case {
  model: ModelName;
  data: DataName;
  peft: { peft_type: string; task_type?: string } & Record<string, unknown>;
  training?: Record<string, unknown>;
}

export type ModelName = 'SmolLM2-135M' | 'MiniLM' | 'GPT-2 shape' | 'T5-small shape' | 'wide Llama';
export type DataName = 'chats' | 'texts' | 'long texts' | 'classes' | 'tags' | 'pairs' | 'translations';

const lora = { peft_type: 'LORA', r: 8, lora_alpha: 16, target_modules: 'all-linear' };
const smol = (
  peft: Case['peft'],
  training: Record<string, unknown> = {},
  data: DataName = 'chats',
): Case => ({ model: 'SmolLM2-135M', data, peft, training });

/** Every method, and what changes memory and time most: batch, length, precision, how the base is kept, checkpointing. */
export const cases: Case[] = [
  smol(lora, { batch_size: 8 }),
  smol(lora, { batch_size: 1 }),
  smol(lora, { batch_size: 16 }),
  smol(lora, { batch_size: 4, gradient_accumulation_steps: 4 }),
  smol(lora, { batch_size: 4 }, 'texts'),
  smol(lora, { batch_size: 4, gradient_checkpointing: true }, 'texts'),
  smol(lora, { batch_size: 1 }, 'long texts'),
  smol(lora, { batch_size: 8, precision: 'bf16' }),
  smol(lora, { batch_size: 8, base_dtype: 'bf16' }),
  smol(lora, { batch_size: 8, base_dtype: 'int8' }),
  smol(lora, { batch_size: 8, base_dtype: 'nf4' }),
  smol({ peft_type: 'LORA', r: 64, lora_alpha: 64, target_modules: ['q_proj', 'v_proj'] }, { batch_size: 8 }),
  smol({ ...lora, use_dora: true }, { batch_size: 8 }),
  smol({ peft_type: 'IA3' }, { batch_size: 8 }),
  smol({ peft_type: 'LN_TUNING' }, { batch_size: 8 }),
  smol({ peft_type: 'TRAINABLE_TOKENS', token_indices: [1, 2, 3] }, { batch_size: 8 }),
  smol({ peft_type: 'SELECTIVE', layers: [28, 29] }, { batch_size: 8 }),
  smol({ peft_type: 'BOTTLENECK' }, { batch_size: 8 }),
  smol({ peft_type: 'PROMPT_TUNING', num_virtual_tokens: 20 }, { batch_size: 8 }),
  smol({ peft_type: 'P_TUNING', num_virtual_tokens: 20, encoder_hidden_size: 128 }, { batch_size: 8 }),
  smol({ peft_type: 'PREFIX_TUNING', num_virtual_tokens: 20 }, { batch_size: 8 }),
  { model: 'MiniLM', data: 'classes', peft: { ...lora, task_type: 'SEQ_CLS' }, training: { batch_size: 16 } },
  {
    model: 'MiniLM',
    data: 'classes',
    peft: { peft_type: 'SELECTIVE', task_type: 'SEQ_CLS', preset: 'bitfit' },
    training: { batch_size: 64 },
  },
  { model: 'MiniLM', data: 'tags', peft: { ...lora, task_type: 'TOKEN_CLS' }, training: { batch_size: 16 } },
  {
    model: 'MiniLM',
    data: 'pairs',
    peft: { ...lora, task_type: 'FEATURE_EXTRACTION' },
    training: { batch_size: 32 },
  },
  { model: 'GPT-2 shape', data: 'chats', peft: lora, training: { batch_size: 4 } },
  {
    model: 'T5-small shape',
    data: 'translations',
    peft: { ...lora, task_type: 'SEQ_2_SEQ_LM' },
    training: { batch_size: 16 },
  },
  { model: 'wide Llama', data: 'chats', peft: lora, training: { batch_size: 2 } },
  { model: 'wide Llama', data: 'chats', peft: lora, training: { batch_size: 2, base_dtype: 'nf4' } },
];
