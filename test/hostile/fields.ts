// Values of fields that no request may have.
/** Literal JSON, for values that JSON.stringify cannot write. */
const raw = (json: string) => ({ toJSON: () => `\u0001${json}\u0001` });
export const unquoted = (text: string) =>
  text.replaceAll(/"\\u0001(.*?)\\u0001"/gs, (_, json: string) => JSON.parse(`"${json}"`) as string);

const huge = raw('1e400');
const nothings: unknown[] = [true, {}, []];
const notTexts: unknown[] = [7, ...nothings, 'a\0b', '\ud800', 'x\udfff', huge];
const notNumbers: unknown[] = ['7', ...nothings, huge, raw('-1e400'), -1e300];
const notWholes: unknown[] = [...notNumbers, 1.5, 1e30, raw('9223372036854775808')];
const notFlags: unknown[] = [0, 'true', {}, [], huge];
export const notLists: unknown[] = [7, 'x', true, { 0: 1 }, huge];

export type Fields = Record<string, unknown[]>;

export const sampling: Fields = {
  model: [null, '', 'x'.repeat(513), ...notTexts],
  max_tokens: [0, -1, ...notWholes],
  temperature: [-1, 3, ...notNumbers],
  top_p: [0, 2, ...notNumbers],
  top_k: [-2, 1_000_001, ...notWholes],
  min_p: [-0.1, 1.1, ...notNumbers],
  repetition_penalty: [0, 101, ...notNumbers],
  generation_config: ['mine', '', ...notTexts],
  stop: ['', 7, true, {}, ['a', 'b', 'c', 'd', 'e'], [7], 'a\0', ['\ud800']],
  seed: [-1, 2 ** 31, ...notWholes],
  stream: ['yes', 1, {}],
  stream_options: [7, 'x', { x: 1 }, { include_usage: 'x' }],
  user: [7, {}, '\0'],
  n: [9, 'x'],
  logit_bias: [{ 5: 101 }, { x: 1 }, { '-1': 1 }, { 5: '1' }],
};

export const jobFields: Fields = {
  model: [null, '', ...notTexts],
  training_file: [null, '', 'file-none', '../../etc/passwd', ...notTexts],
  validation_file: ['file-none', ...notTexts],
  training_files: [
    ...notLists,
    [],
    [7],
    [{}],
    [{ file: 'file-none' }],
    [{ file: 7 }],
    Array(17).fill({ file: 'file-none' }),
  ],
  validation_files: [...notLists, [7], [{}], [{ file: 'file-none' }], [{ file: 'file-none', name: 'Ä' }]],
  suffix: ['', 'a b', '-a', 'x'.repeat(65), 'ä', ...notTexts],
  seed: [-1, 2 ** 31, ...notWholes],
  metadata: [
    7,
    'x',
    [],
    true,
    { k: 7 },
    { k: null },
    { k: 'a\0' },
    { '\ud800': 'v' },
    { 'a\0': 'v' },
    { '': 'v' },
    { k: 'v'.repeat(513) },
    { ['k'.repeat(65)]: 'v' },
    Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, 'v'])),
  ],
  method: [
    7,
    'supervised',
    {},
    { type: 'ppo' },
    { type: 'supervised', supervised: 7 },
    { type: 'dpo', dpo: {} },
    { type: 'kto', kto: 7 },
    { type: ['dpo'] },
    { type: '__proto__' },
    { type: 'constructor', constructor: {} },
    { type: 'supervised', dpo: { hyperparameters: {} } },
    { type: 'supervised', supervised: { hyperparameters: { beta: 1 } } },
    { type: 'reinforcement', reinforcement: { grader: {} } },
    { type: 'dpo', dpo: { hyperparameters: 7 } },
    { type: 'dpo', dpo: { hyperparameters: { beta: 'a\0' } } },
    ...[0, -1, 101, ...notNumbers].map((beta) => ({ type: 'dpo', dpo: { hyperparameters: { beta } } })),
  ],
  hyperparameters: [
    7,
    'x',
    [],
    { x: 1 },
    { n_epochs: 0 },
    { n_epochs: 51 },
    { n_epochs: 'x' },
    { batch_size: 1.5 },
    { learning_rate_multiplier: 0 },
    { learning_rate_multiplier: huge },
    { learning_rate_multiplier: '1' },
  ],
  integrations: [7, 'x', {}, [{ type: 'wandb' }]],
  peft: [7, 'LORA', [], { r: 'x' }, { peft_type: 7 }, { peft_type: 'LORAA' }, { peft_type: '__proto__' }],
  training: [7, 'x', [], { x: 1 }, { constructor: 1 }],
};

export const peftFields: Fields = {
  r: [0, 4097, ...notWholes],
  lora_alpha: [0, ...notNumbers],
  lora_dropout: [-0.1, 1, ...notNumbers],
  target_modules: [
    [],
    7,
    true,
    {},
    [7],
    [''],
    ['a\0'],
    ['\ud800'],
    '',
    '(',
    '(?=x)',
    '(a)\\1',
    'x'.repeat(513),
    '.{1000}'.repeat(41),
    '(.?){1000}'.repeat(50),
    '((a{100}){100}){100}',
    ['none_of_these'],
    Array.from({ length: 1025 }, (_, i) => `m${i}`),
  ],
  exclude_modules: [7, {}, '(', [7], ['none_of_these']],
  bias: ['some', ...notTexts],
  use_dora: notFlags,
  use_rslora: notFlags,
  layers_to_transform: [-1, 10_001, 'x', {}, [1.5], 99],
  layers_pattern: ['h', 7, {}, ['(']],
  rank_pattern: [
    7,
    'x',
    [],
    { q_proj: 0 },
    { q_proj: 'x' },
    { '(': 4 },
    { 'a\0': 4 },
    { none_of_these: 4 },
    Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}.*x`, 4])),
    Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`k${i}`, 4])),
  ],
  alpha_pattern: [{ q_proj: 0 }, { q_proj: huge }, { '[': 1 }],
  modules_to_save: [7, 'x', [7], ['('], ['none'], Array.from({ length: 1000 }, (_, i) => `k${i}.*x`)],
  trainable_token_indices: [7, 'x', [-1], [1.5], [1, 1], [10 ** 9], [2 ** 31], { none: [1] }],
  init_lora_weights: ['corda', 'mica', 'lora_ga', 'pissa_niter_100', 'x', 7, {}],
  task_type: ['NONE', 7, 'QUESTION_ANS'],
  loftq_config: [{ bits: 4 }],
  eva_config: [
    7,
    'x',
    [],
    { rho: 0 },
    { rho: huge },
    { tau: 2 },
    { label_mask_value: 0 },
    { evil: {} },
    { rho: 1 },
  ],
  inference_mode: [true],
  loraa: [1],
};

export const kwargs: unknown[] = [
  7,
  'x',
  true,
  [],
  { messages: [] },
  { tools: 1 },
  { add_generation_prompt: false },
  { 'a b': 1 },
  { a: 'x'.repeat(5000) },
  { a: 'a\0' },
  { a: '\ud800' },
  { a: huge },
  raw(`{"a":${'['.repeat(20)}${']'.repeat(20)}}`),
  { a: Array.from({ length: 5000 }, () => 1) },
  Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, 1])),
];

export const trainingFields: Fields = {
  n_epochs: [0, 51, ...notWholes],
  batch_size: [0, 257, ...notWholes],
  learning_rate: [0, 2, ...notNumbers],
  lr_scheduler_type: ['square', ...notTexts],
  max_seq_length: [7, 131_073, ...notWholes],
  overlong: ['cut', ...notTexts],
  text_stride: [-1, 131_072, ...notWholes],
  allow_special_tokens: notFlags,
  chat_template_kwargs: [null, ...kwargs],
  weight_decay: [-1, 2, ...notNumbers],
  max_grad_norm: [-1, ...notNumbers],
  packing: notFlags,
  precision: ['fp8', ...notTexts],
  validation_split: [-1, 0.6, ...notNumbers],
  validation_seed: [-1, 0.5, ...notNumbers],
  max_steps: [0, 10_000_001, ...notWholes],
  chat_template: ['', 'x'.repeat(300_000), ...notTexts],
  train_on: ['user', ...notTexts],
  mask_reasoning: notFlags,
  on_bad_lines: ['ignore', ...notTexts],
  max_bad_lines: [-1, ...notWholes],
  columns: [7, 'x', [], { prompt: 7 }, { prompt: '' }, { prompt: 'a\0' }],
  mix_strategy: ['shuffle', ...notTexts],
  metric_for_best_model: ['', 'loss_', 'x'.repeat(65), 'eval_', ...notTexts],
  preference: [
    null,
    7,
    'x',
    true,
    [],
    {},
    Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, 1])),
  ],
};

const notLosses: unknown[] = ['dpo', [], ['sigmoid', 'sigmoid'], ['x'], Array(5).fill('sft'), ...notTexts];

/** All of them are refused, whatever the method: the training file has no preferences. */
export const preferenceFields: Fields = {
  beta: [0, -1, 101, ...notNumbers],
  loss_type: notLosses,
  loss_weights: [[], [-1], [1001], ['1'], [huge], [null], Array(5).fill(1), ...notLists],
  label_smoothing: [-0.1, 0.5, ...notNumbers],
  reference_free: notFlags,
  simpo_gamma: [-1, 101, ...notNumbers],
  cpo_alpha: [-1, 1001, ...notNumbers],
  desirable_weight: [0, 1001, ...notNumbers],
  undesirable_weight: [0, 1001, ...notNumbers],
  bete: [1],
  constructor: [1],
};

const tool = (parameters: unknown, name: unknown = 'f') => ({
  type: 'function',
  function: { name, parameters },
});

/** Fields that constrain an answer: tools, and formats. Schemas that are valid but need a worker are not in here. */
export const constraints: Fields = {
  tools: [
    7,
    'x',
    true,
    [7],
    [{}],
    [tool({}, '')],
    [tool({}, 7)],
    [tool(7)],
    [tool({}), tool({})],
    Array(129).fill(tool({})),
  ],
  tool_choice: [
    'any',
    7,
    [],
    { type: 'function' },
    { type: 'function', function: { name: 'f' } },
    'required',
  ],
  response_format: [7, 'json', [], {}, { type: 'xml' }, { type: 'json_schema' }],
  parallel_tool_calls: [0, 'true', {}, []],
  frequency_penalty: [-3, 2.1, ...notNumbers],
  presence_penalty: [-3, 2.1, ...notNumbers],
};

export const messageFields: Fields = {
  role: [null, 'function', '', ...notTexts],
  content: [null, 7, true, {}, [], [7], [{ type: 'image' }], [{ type: 'text', text: 7 }], 'a\0', '\udc00'],
  name: ['x'.repeat(65), ...notTexts],
  tool_calls: [[{}]],
};
