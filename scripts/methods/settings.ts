/** How a method is set up for the bike-shop task on SmolLM2-135M: what the demo and the table of docs/methods.md use. */
export interface MethodSetting {
  peft: Record<string, unknown>;
  training: Record<string, unknown>;
  /** Passes over the data. */
  epochs: number;
  /** Held-out points that the demo asks of it over the untrained model. */
  margin: number;
}

/** By the name that `npm run demo -- --method` takes. */
export const methodSettings: Record<string, MethodSetting> = {
  lora: {
    peft: { peft_type: 'LORA', r: 16, lora_alpha: 32, target_modules: 'all-linear' },
    training: { learning_rate: 1e-3 },
    epochs: 3,
    margin: 50,
  },
  ia3: { peft: { peft_type: 'IA3' }, training: { learning_rate: 1e-2 }, epochs: 4, margin: 50 },
  bottleneck: {
    peft: { peft_type: 'BOTTLENECK', preset: 'double_seq_bn', reduction_factor: 8 },
    training: { learning_rate: 1e-3 },
    epochs: 3,
    margin: 50,
  },
  prompt_tuning: {
    peft: {
      peft_type: 'PROMPT_TUNING',
      num_virtual_tokens: 20,
      prompt_tuning_init: 'TEXT',
      prompt_tuning_init_text:
        'Sort the message: workshop, sales, rental, billing or delivery; urgent or normal.',
    },
    training: { learning_rate: 2e-2 },
    epochs: 6,
    margin: 30,
  },
  prefix_tuning: {
    peft: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 10 },
    training: { learning_rate: 2e-2 },
    epochs: 6,
    margin: 30,
  },
  p_tuning: {
    peft: { peft_type: 'P_TUNING', num_virtual_tokens: 20, encoder_hidden_size: 128 },
    training: { learning_rate: 5e-3 },
    epochs: 6,
    margin: 30,
  },
  selective: {
    peft: { peft_type: 'SELECTIVE', layers: [24, 25, 26, 27, 28, 29], kinds: ['attention', 'mlp'] },
    training: { learning_rate: 2e-4 },
    epochs: 3,
    margin: 50,
  },
  ln_tuning: { peft: { peft_type: 'LN_TUNING' }, training: { learning_rate: 2e-2 }, epochs: 4, margin: 50 },
  trainable_tokens: {
    // The tokens of the ten answers, the end of a turn, and the roles.
    peft: {
      peft_type: 'TRAINABLE_TOKENS',
      token_indices: [
        1, 2, 31, 82, 99, 198, 272, 293, 520, 1160, 2002, 3422, 3552, 3936, 5472, 6994, 9531, 31625,
      ],
    },
    training: { learning_rate: 1e-2 },
    epochs: 4,
    margin: 30,
  },
};

/** The same task for MiniLM, as a classifier of ten classes. */
export const classifierSettings: Record<string, Omit<MethodSetting, 'margin'>> = {
  lora: {
    peft: {
      peft_type: 'LORA',
      task_type: 'SEQ_CLS',
      r: 16,
      lora_alpha: 32,
      target_modules: ['query', 'value'],
    },
    training: { learning_rate: 3e-3 },
    epochs: 10,
  },
  ia3: { peft: { peft_type: 'IA3', task_type: 'SEQ_CLS' }, training: { learning_rate: 2e-2 }, epochs: 10 },
  bottleneck: {
    peft: { peft_type: 'BOTTLENECK', task_type: 'SEQ_CLS', preset: 'seq_bn' },
    training: { learning_rate: 3e-3 },
    epochs: 10,
  },
  prompt_tuning: {
    peft: { peft_type: 'PROMPT_TUNING', task_type: 'SEQ_CLS', num_virtual_tokens: 10 },
    training: { learning_rate: 2e-2 },
    epochs: 15,
  },
  selective: {
    peft: { peft_type: 'SELECTIVE', task_type: 'SEQ_CLS', preset: 'bitfit' },
    training: { learning_rate: 5e-3 },
    epochs: 10,
  },
};
