import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeftConfig } from '../config/index.ts';
import { checkAgainstModel } from './check.ts';

const llama = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 260,
  max_position_embeddings: 64,
  tie_word_embeddings: true,
};
const t5 = { model_type: 't5', d_model: 32, d_kv: 8, d_ff: 64, num_layers: 2, num_heads: 4, vocab_size: 260 };
const bert = {
  model_type: 'bert',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  vocab_size: 260,
};

type Options = Record<string, unknown>;
const check = (options: Options, model: Options) =>
  checkAgainstModel(parsePeftConfig({ num_virtual_tokens: 4, ...options }), model);

function refused(
  what: string,
  options: Options,
  model: Options,
  fault: { code?: string; param: string; message: RegExp },
): void {
  test(`${options.peft_type}: ${what}`, () => {
    assert.throws(() => check(options, model), { code: 'invalid_peft_config', ...fault });
  });
}

for (const peft_type of ['PROMPT_TUNING', 'P_TUNING', 'PREFIX_TUNING']) {
  // A prefix has the width of keys and values.
  const token_dim = peft_type === 'PREFIX_TUNING' ? 16 : 32;
  const num_attention_heads = peft_type === 'PREFIX_TUNING' ? 2 : 4;
  test(`${peft_type}: the model's own sizes may be given`, () => {
    check({ peft_type, token_dim, num_layers: 2, num_attention_heads, num_transformer_submodules: 1 }, llama);
    check({ peft_type, num_virtual_tokens: 63 }, llama);
  });
  refused('another width', { peft_type, token_dim: 48 }, llama, {
    param: 'peft.token_dim',
    message: new RegExp(`token_dim: is 48, but this base model's is ${token_dim}; leave it out`),
  });
  refused('another depth', { peft_type, num_layers: 3 }, llama, {
    param: 'peft.num_layers',
    message: /num_layers: is 3, but this base model's is 2/,
  });
  refused('another number of heads', { peft_type, num_attention_heads: 8 }, llama, {
    param: 'peft.num_attention_heads',
    message: new RegExp(`is 8, but this base model's is ${num_attention_heads}`),
  });
  refused('two halves of a model that has one', { peft_type, num_transformer_submodules: 2 }, llama, {
    param: 'peft.num_transformer_submodules',
    message: /is 2, but this base model's is 1/,
  });
  refused('a prompt that fills the context', { peft_type, num_virtual_tokens: 64 }, llama, {
    param: 'peft.num_virtual_tokens',
    message: /64 leave no position for text: the base model's context is 64/,
  });
  refused('a saved module that is not there', { peft_type, modules_to_save: ['classifier'] }, llama, {
    code: 'target_modules_not_found',
    param: 'peft.modules_to_save',
    message: /"classifier" matches no module/,
  });
}

for (const peft_type of ['PROMPT_TUNING', 'P_TUNING'])
  refused(
    'the table of tokens trained beside virtual ones',
    { peft_type, modules_to_save: ['embed_tokens'] },
    llama,
    { param: 'peft.modules_to_save', message: /model\.embed_tokens cannot be trained beside virtual tokens/ },
  );
test('PREFIX_TUNING: the table of tokens may be trained beside a prefix', () =>
  check({ peft_type: 'PREFIX_TUNING', modules_to_save: ['embed_tokens'] }, llama));

const prefix = { peft_type: 'PREFIX_TUNING' };
for (const [task_type, model] of [
  ['SEQ_CLS', llama],
  ['TOKEN_CLS', llama],
  ['SEQ_CLS', bert],
  ['TOKEN_CLS', bert],
] as const)
  refused(`${task_type} of a ${model.model_type}`, { ...prefix, task_type }, model, {
    code: 'unsupported_task',
    param: 'peft.task_type',
    message: new RegExp(
      `PREFIX_TUNING does not go with ${task_type}.*the methods that put virtual tokens before the text can`,
    ),
  });
const t5Prefix = { ...prefix, task_type: 'SEQ_2_SEQ_LM' };
test('PREFIX_TUNING: equal halves of a T5', () => check(t5Prefix, t5));
refused(
  'halves of a T5 that differ',
  t5Prefix,
  { ...t5, num_decoder_layers: 3 },
  { code: 'unsupported_model', param: 'model', message: /the encoder's 2 layers, but the decoder has 3/ },
);
refused(
  'heads of a T5 that are not as wide as the model',
  t5Prefix,
  { ...t5, d_kv: 16 },
  {
    code: 'unsupported_model',
    param: 'model',
    message: /cuts the model's width, 32, into heads; this model's are 4 × 16/,
  },
);
