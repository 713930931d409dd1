import { accuracy } from '../accuracy.ts';
import type { Objective } from '../objective.ts';

/** Cross entropy of the next token: of what a conversation answers, of completions, of texts and of their targets. */
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
