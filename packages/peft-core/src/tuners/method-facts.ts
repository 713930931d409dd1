import type { PeftConfig } from './methods.ts';

/** What a user wants to know of a method before choosing it; docs/methods.md and model cards are made from it. */
export interface MethodFacts {
  /** Its usual name. */
  title: string;
  /** When to choose it, in a sentence. */
  when: string;
  paper: string;
  /** Python library whose files Graft writes for it; null for Graft's own. */
  library: 'HF PEFT' | 'adapters' | null;
  /** Other runtimes that serve such an adapter as it is, in its plain form; which options they take, runtimes.ts says. */
  servedBy: string[];
  /** A usual configuration: the one whose trainable parameters docs/methods.md counts. */
  usual: Record<string, unknown>;
}

/** By `peft_type`; the same rows as `methods.ts`. */
export const methodFacts: Record<PeftConfig['peft_type'] | (string & {}), MethodFacts> = {
  LORA: {
    title: 'LoRA',
    when: 'The first choice: close to full fine-tuning at under 1 % of the parameters, merges away, and in its plain form is what other runtimes serve.',
    paper: 'https://arxiv.org/abs/2106.09685',
    library: 'HF PEFT',
    servedBy: ['vLLM', 'SGLang', 'TGI', 'llama.cpp (converted)'],
    usual: { r: 16, lora_alpha: 32, target_modules: 'all-linear' },
  },
  IA3: {
    title: '(IA)³',
    when: 'Many tenants and few examples: a hundred times smaller than LoRA, one factor a channel, merges away.',
    paper: 'https://arxiv.org/abs/2205.05638',
    library: 'HF PEFT',
    servedBy: [],
    usual: {},
  },
  BOTTLENECK: {
    title: 'Bottleneck adapters',
    when: 'Encoders and long experience with them; a small network after each sublayer. It stays in the model when it answers.',
    paper: 'https://arxiv.org/abs/1902.00751',
    library: 'adapters',
    servedBy: [],
    usual: { preset: 'seq_bn' },
  },
  PROMPT_TUNING: {
    title: 'Prompt tuning',
    when: 'The smallest adapter, for large models: a few virtual tokens before every input. Slow to learn on small models.',
    paper: 'https://arxiv.org/abs/2104.08691',
    library: 'HF PEFT',
    servedBy: [],
    usual: { num_virtual_tokens: 20 },
  },
  PREFIX_TUNING: {
    title: 'Prefix tuning',
    when: 'Generation tasks where the weights may not be touched at all: trained keys and values before every input, in all layers.',
    paper: 'https://arxiv.org/abs/2101.00190',
    library: 'HF PEFT',
    servedBy: [],
    usual: { num_virtual_tokens: 20 },
  },
  P_TUNING: {
    title: 'P-tuning',
    when: 'As prompt tuning, with an encoder that makes training steadier and is left behind when the adapter is saved.',
    paper: 'https://arxiv.org/abs/2103.10385',
    library: 'HF PEFT',
    servedBy: [],
    usual: { num_virtual_tokens: 20, encoder_hidden_size: 128 },
  },
  TRAINABLE_TOKENS: {
    title: 'Trainable tokens',
    when: 'New special tokens, or a new meaning for a few old ones: only their embedding rows are trained. Goes with LoRA, too.',
    paper: 'https://huggingface.co/docs/peft/package_reference/trainable_tokens',
    library: 'HF PEFT',
    servedBy: [],
    usual: { token_indices: [0, 1, 2, 3] },
  },
  LN_TUNING: {
    title: 'LayerNorm tuning',
    when: 'Style and domain shifts on a tight budget: the scales of the norms alone. Merges away.',
    paper: 'https://arxiv.org/abs/2312.11420',
    library: 'HF PEFT',
    servedBy: [],
    usual: {},
  },
  SELECTIVE: {
    title: 'Selective tuning',
    when: 'You know which weights matter: biases (BitFit), norms, the head, the last layers. They are trained themselves; merges away.',
    paper: 'https://arxiv.org/abs/2106.10199',
    library: null,
    servedBy: [],
    usual: { layers: [30, 31] },
  },
};
