/** For each reason, methods and the architectures on which they cannot be. */
export const reasons: [reason: string, methods: string[], architectures: string[]][] = [
  [
    'The model has no bias vectors.',
    ['bitfit'],
    [
      ...[
        'llama',
        'mistral',
        'ministral3',
        'qwen3',
        'qwen3_moe',
        'gemma3_text',
        'gemma4_text',
        'gemma4_unified_text',
        'phi3',
        'smollm3',
        'granite',
        'qwen3_5_text',
        'qwen3_next',
        'qwen3_5_moe_text',
      ],
      ...['olmo2', 'olmo3', 'llama SEQ_CLS', 't5', 't5-plain'],
    ],
  ],
  [
    'HF PEFT takes the names of feed-forward modules for matrices of experts, which DoRA does not adapt.',
    ['dora'],
    ['qwen3_moe', 'qwen3_next'],
  ],
  [
    'A bare model has no output layer.',
    ['retrain_embeddings'],
    ['bert FEATURE_EXTRACTION', 'roberta FEATURE_EXTRACTION'],
  ],
  [
    "The method has no modules_to_save in HF PEFT: a classifier's head would stay at its random start.",
    ['trainable_tokens', 'trainable_tokens of the head, or by name'],
    [
      'bert SEQ_CLS',
      'bert TOKEN_CLS',
      'roberta SEQ_CLS',
      'roberta TOKEN_CLS',
      'llama SEQ_CLS',
      'llama TOKEN_CLS',
    ],
  ],
  [
    "transformers' classifiers take no keys and values from outside: HF PEFT's prefix tuning refuses them.",
    ['prefix_tuning', 'prefix_tuning by projection'],
    ['bert', 'roberta', 'llama'].flatMap((type) => [`${type} SEQ_CLS`, `${type} TOKEN_CLS`]),
  ],
  [
    "Layers with a state take no keys and values from outside: with HF PEFT's prefix tuning, transformers refuses them.",
    ['prefix_tuning', 'prefix_tuning by projection'],
    [
      'granitemoehybrid-experts',
      ...['qwen3_5_text', 'qwen3_next', 'qwen3_5_moe_text', 'granitemoehybrid'].flatMap((type) => [
        type,
        `${type} FEATURE_EXTRACTION`,
      ]),
    ],
  ],
  [
    'Layers read a row of a table for every token, which virtual tokens do not have: with HF PEFT, transformers refuses them.',
    ['prompt_tuning', 'p_tuning by mlp', 'p_tuning by lstm'],
    ['gemma4_text', 'gemma4_text FEATURE_EXTRACTION'],
  ],
  [
    'Layers have keys of different sizes: HF PEFT leaves out those that its prefix does not fit, Graft refuses.',
    ['prefix_tuning', 'prefix_tuning by projection'],
    ['gemma4_text', 'gemma4_unified_text'].flatMap((type) => [type, `${type} FEATURE_EXTRACTION`]),
  ],
  [
    "The adapters library applies the last layer's norm in every layer of this architecture: Graft refuses the preset.",
    ['seq_bn'],
    ['gemma3_text', 'gemma3_text SEQ_CLS', 'gemma3_text FEATURE_EXTRACTION'],
  ],
  [
    'The adapters library has neither classes nor an interface for this architecture.',
    ['seq_bn', 'double_seq_bn', 'par_bn'],
    [
      ...[
        'qwen3_moe',
        'qwen3_moe-balanced',
        'gpt_oss',
        'ministral3',
        'gemma4_text',
        'gemma4_unified_text',
        'phi3',
        'smollm3',
        'granite',
        'olmo2',
        'olmo3',
        'qwen3_5_text',
        'qwen3_next',
        'qwen3_5_moe_text',
        'granitemoehybrid',
        'granitemoehybrid-experts',
      ],
      ...['qwen3_moe', 'gpt_oss', 'ministral3', 'phi3', 'smollm3', 'qwen3_next'].flatMap((type) => [
        `${type} SEQ_CLS`,
        `${type} TOKEN_CLS`,
      ]),
      ...['olmo2 SEQ_CLS', 'olmo3 SEQ_CLS', 'qwen3_5_text SEQ_CLS'],
      ...['qwen3_moe', 'gpt_oss', 'ministral3', 'phi3', 'smollm3', 'granite', 'olmo2', 'olmo3'].map(
        (type) => `${type} FEATURE_EXTRACTION`,
      ),
      ...[
        'gemma4_text',
        'gemma4_unified_text',
        'qwen3_5_text',
        'qwen3_next',
        'qwen3_5_moe_text',
        'granitemoehybrid',
      ].map((type) => `${type} FEATURE_EXTRACTION`),
    ],
  ],
  [
    'HF PEFT has no default target_modules of LN_TUNING for this architecture.',
    ['ln_tuning by default'],
    ['bert', 'roberta'].flatMap((type) =>
      ['SEQ_CLS', 'TOKEN_CLS', 'FEATURE_EXTRACTION'].map((task) => `${type} ${task}`),
    ),
  ],
];

/** Cells that cannot be, `architecture × method`, and why; exceptions.md lists the same for users. */
export const exceptions: Record<string, string> = Object.fromEntries(
  reasons.flatMap(([reason, methods, architectures]) =>
    methods.flatMap((method) => architectures.map((architecture) => [`${architecture} × ${method}`, reason])),
  ),
);
