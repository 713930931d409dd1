import { accuracy } from '../accuracy.ts';
import type { Objective } from '../objective.ts';

/** Cross entropy of the next token in a conversation's answers, in completions, in texts and in target texts. */
export const nextToken = {
  name: 'next_token',
  method: 'supervised',
  formats: ['chat', 'prompt_completion', 'text', 'text_target'],
  tasks: ['CAUSAL_LM', 'SEQ_2_SEQ_LM'],
  options: {},
  metrics: [
    { ...accuracy, name: 'token_accuracy', label: 'Token accuracy' },
    {
      name: 'perplexity',
      label: 'Perplexity',
      unit: 'number',
      better: 'lower',
      measured: ['evaluation'],
      measure: ({ loss }) => Math.exp(loss),
    },
  ],
  passes: ['policy'],
} as const satisfies Objective;
