import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeftConfig } from '../config/index.ts';
import type { GraftError } from '../errors.ts';
import { outlineOf, type TaskType } from '../outlines/index.ts';
import { tinyFamilies } from '../testing/tiny-families.ts';
import { checkAgainstModel } from './check.ts';

const llama = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  vocab_size: 260,
  tie_word_embeddings: true,
};
const untied = { ...llama, tie_word_embeddings: false };
const gpt2 = { model_type: 'gpt2', n_embd: 32, n_layer: 2, n_head: 4, n_positions: 64, vocab_size: 260 };
const bert = {
  model_type: 'bert',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  vocab_size: 260,
};

const recurrent = { ...llama, ...tinyFamilies.qwen3_5_text };

const check = (options: Record<string, unknown>, model: Record<string, unknown>) =>
  checkAgainstModel(parsePeftConfig(options), model);

function refused(
  what: string,
  options: Record<string, unknown>,
  model: Record<string, unknown>,
  [code, param, message]: [code: string, param: string, message: RegExp],
): void {
  test(`${options.peft_type}: ${what}`, () => {
    assert.throws(
      () => check(options, model),
      (error: GraftError) => {
        assert.deepEqual([error.code, error.param], [code, `peft.${param}`]);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

const lora = { peft_type: 'LORA', r: 4, target_modules: ['q_proj'] };

test('a model without what the task reads is refused for that task alone', () => {
  /** The tensors of a model saved for one task, checked for another task. */
  const saved = (
    model: Record<string, unknown>,
    as: TaskType,
    task: TaskType,
    change = (shape: number[]) => shape,
  ) => {
    const shapes = new Map(
      outlineOf(model, as)
        .parameters.filter(({ fresh }) => fresh === undefined)
        .map(({ name, shape }) => [name, change(shape)]),
    );
    const info = (name: string) => ({ dtype: 'F32', shape: shapes.get(name)! });
    const peft = parsePeftConfig({ peft_type: 'SELECTIVE', kinds: ['norm'], task_type: task });
    checkAgainstModel(peft, model, { has: (name) => shapes.has(name), info });
  };
  const task = { code: 'unsupported_task', param: 'peft.task_type' };
  saved(bert, 'TOKEN_CLS', 'TOKEN_CLS');
  saved(bert, 'SEQ_CLS', 'TOKEN_CLS');
  saved(bert, 'TOKEN_CLS', 'FEATURE_EXTRACTION');
  assert.throws(() => saved(bert, 'TOKEN_CLS', 'SEQ_CLS'), {
    ...task,
    message: /saved without bert\.pooler\.dense\.weight, bert\.pooler\.dense\.bias, which SEQ_CLS reads/,
  });
  saved(llama, 'FEATURE_EXTRACTION', 'CAUSAL_LM');
  saved(untied, 'FEATURE_EXTRACTION', 'SEQ_CLS');
  assert.throws(() => saved(untied, 'FEATURE_EXTRACTION', 'CAUSAL_LM'), {
    ...task,
    message: /saved without lm_head\.weight, which CAUSAL_LM reads/,
  });
  assert.throws(() => saved(bert, 'SEQ_CLS', 'SEQ_CLS', (shape) => shape.map((n) => (n === 260 ? 300 : n))), {
    code: 'invalid_model',
    message:
      /the base model: tensor .* resized vocabulary: config.json says vocab_size 260, the table has 300 rows/,
  });
});
refused('a norm is no target', { ...lora, target_modules: ['norm'] }, llama, [
  'invalid_peft_config',
  'target_modules',
  /not model\.norm \(norm\)/,
]);
refused('an embedding has no bias', { ...lora, target_modules: ['wte'], lora_bias: true }, gpt2, [
  'invalid_peft_config',
  'lora_bias',
  /transformer\.wte/,
]);
refused('a rank above the width', { ...lora, r: 33 }, llama, ['rank_too_large', 'r', /q_proj.*32 × 32/]);
refused('a rank above the embedding', { ...lora, target_modules: ['embed_tokens'], r: 33 }, llama, [
  'rank_too_large',
  'r',
  /embed_tokens.*32 × 260/,
]);
const error = { peft_type: 'LORA', r: 2, init_lora_weights: 'loftq' };
refused('no error of an embedding', { ...error, target_modules: ['embed_tokens'] }, llama, [
  'invalid_peft_config',
  'init_lora_weights',
  /"loftq" is not there for embeddings, and target_modules adapts model\.embed_tokens/,
]);
refused(
  'no error of experts',
  { ...error, target_modules: ['q_proj'], target_parameters: ['mlp.experts.down_proj'] },
  { ...llama, ...tinyFamilies.qwen3_moe },
  ['invalid_peft_config', 'init_lora_weights', /"loftq" is not there for parameters such as/],
);

const inputs = { peft_type: 'LORA', r: 2, init_lora_weights: 'eva', eva_config: { rho: 1 } };
refused('no directions of tokens', { ...inputs, target_modules: ['embed_tokens'] }, llama, [
  'invalid_peft_config',
  'init_lora_weights',
  /"eva" is not there for embeddings, and target_modules adapts model\.embed_tokens/,
]);
refused('no inputs of the output layer', { ...inputs, target_modules: ['q_proj', 'lm_head'] }, llama, [
  'invalid_peft_config',
  'init_lora_weights',
  /"eva" is not there for lm_head/,
]);
refused(
  'more directions than a narrow layer has inputs',
  { ...inputs, r: 3, target_modules: 'all-linear' },
  { ...llama, intermediate_size: 2 },
  [
    'rank_too_large',
    'r',
    /rank 3 is larger than the number of inputs of model\.layers\.0\.mlp\.down_proj, 2/,
  ],
);
refused(
  'more redistributed directions than a layer has inputs',
  { ...inputs, eva_config: { rho: 20 }, target_modules: ['q_proj'] },
  llama,
  [
    'rank_too_large',
    'r',
    /rank 40 \(r times eva_config\.rho\) is larger than the number of inputs of .*q_proj, 32/,
  ],
);
refused(
  'no inputs of experts',
  { ...inputs, target_modules: ['q_proj'], target_parameters: ['mlp.experts.down_proj'] },
  { ...llama, ...tinyFamilies.qwen3_moe },
  ['invalid_peft_config', 'init_lora_weights', /"eva" is not there for parameters such as/],
);

refused('a token that is not there', { ...lora, trainable_token_indices: [3, 260] }, llama, [
  'invalid_peft_config',
  'trainable_token_indices',
  /no token 260.*0 to 259/,
]);
refused(
  'tokens of a module that is not there',
  { ...lora, trainable_token_indices: { embed_tokns: [3] } },
  llama,
  ['target_modules_not_found', 'trainable_token_indices', /embed_tokns.*nearest: embed_tokens/],
);
refused('tokens of no embedding', { ...lora, trainable_token_indices: { o_proj: [3] } }, llama, [
  'invalid_peft_config',
  'trainable_token_indices',
  /o_proj is no embedding/,
]);
refused(
  'tokens of an adapted embedding',
  { ...lora, target_modules: ['embed_tokens'], trainable_token_indices: [3] },
  llama,
  ['invalid_peft_config', 'trainable_token_indices', /embed_tokens, which target_modules adapts/],
);
refused(
  'tokens of an embedding that is trained in full',
  { ...lora, modules_to_save: ['embed_tokens'], trainable_token_indices: [3] },
  llama,
  ['invalid_peft_config', 'trainable_token_indices', /modules_to_save trains it in full/],
);
refused(
  'tokens of an embedding whose tied head is trained in full',
  { ...lora, modules_to_save: ['lm_head'], trainable_token_indices: [3] },
  llama,
  ['invalid_peft_config', 'trainable_token_indices', /lm_head, which is tied to model\.embed_tokens/],
);
test('LORA: an untied head may be trained in full beside tokens, a tied one adapted', () => {
  check({ ...lora, modules_to_save: ['lm_head'], trainable_token_indices: [3] }, untied);
  check({ ...lora, target_modules: ['lm_head'], trainable_token_indices: [3] }, llama);
});

refused('an embedding is no target', { peft_type: 'IA3', target_modules: ['embed_tokens'] }, llama, [
  'invalid_peft_config',
  'target_modules',
  /embed_tokens is none/,
]);
test('IA3: feedforward_modules are among target_modules', () => {
  assert.throws(
    () => parsePeftConfig({ peft_type: 'IA3', target_modules: ['k_proj'], feedforward_modules: ['v_proj'] }),
    (error: GraftError) => error.param === 'peft.feedforward_modules' && /"v_proj"/.test(error.message),
  );
});

refused('no default for BERT', { peft_type: 'LN_TUNING', task_type: 'SEQ_CLS' }, bert, [
  'target_modules_required',
  'target_modules',
  /no default for "bert"/,
]);

const tokens = { peft_type: 'TRAINABLE_TOKENS', token_indices: [3] };
refused('a token that is not there', { ...tokens, token_indices: [999] }, gpt2, [
  'invalid_peft_config',
  'token_indices',
  /no token 999: transformer\.wte has 260 rows/,
]);
refused(
  'a row that a table of positions lacks',
  { ...tokens, token_indices: [64], target_modules: ['wpe'] },
  gpt2,
  ['invalid_peft_config', 'token_indices', /wpe has 64 rows/],
);
refused('a classifier', { ...tokens, task_type: 'SEQ_CLS' }, bert, [
  'unsupported_task',
  'task_type',
  /trains no classifier head/,
]);
refused(
  'an embedding and the head tied to it',
  { ...tokens, target_modules: ['embed_tokens', 'lm_head'] },
  llama,
  ['invalid_peft_config', 'target_modules', /lm_head is tied to model\.embed_tokens/],
);
refused('no embedding', { ...tokens, target_modules: ['q_proj'] }, llama, [
  'invalid_peft_config',
  'token_indices',
  /q_proj is no embedding/,
]);

const selective = { peft_type: 'SELECTIVE' };
refused('biases of a model without any', { ...selective, preset: 'bitfit' }, llama, [
  'invalid_peft_config',
  'kinds',
  /no parameter of kind "bias"; it has norm, embedding, head, attention, mlp/,
]);
refused('a head in a layer', { ...selective, kinds: ['head'], layers: [1] }, llama, [
  'invalid_peft_config',
  'kinds',
  /"head" in layers 1; it has norm, attention, mlp/,
]);
refused('a layer that is not there', { ...selective, layers: [1, 2] }, llama, [
  'invalid_peft_config',
  'layers',
  /no layer 2; layers are 0 to 1/,
]);
refused('a name that is not there', { ...selective, trainable: ['q_porj'] }, llama, [
  'invalid_peft_config',
  'trainable',
  /"q_porj" matches no parameter of this model; nearest: q_proj/,
]);
test('SELECTIVE: nothing to train, and a preset beside kinds', () => {
  const param = (options: object) => {
    try {
      parsePeftConfig({ ...selective, ...options });
    } catch (error) {
      return (error as GraftError).param;
    }
    return null;
  };
  assert.equal(param({}), 'peft.trainable');
  assert.equal(param({ preset: 'bitfit', kinds: ['norm'] }), 'peft.kinds');
  assert.equal(param({ trainable: '(' }), 'peft.trainable');
  assert.deepEqual(parsePeftConfig({ ...selective, preset: 'bitfit' }), {
    peft_type: 'SELECTIVE',
    task_type: 'CAUSAL_LM',
    trainable: null,
    kinds: ['bias'],
    layers: null,
  });
});

refused('convolutions', { ...lora, target_modules: ['conv1d'] }, recurrent, [
  'invalid_peft_config',
  'target_modules',
  /not model\.layers\.0\.linear_attn\.conv1d \(convolution\)/,
]);
refused(
  'convolutions',
  { peft_type: 'IA3', target_modules: ['conv1d'], feedforward_modules: [] },
  recurrent,
  ['invalid_peft_config', 'target_modules', /model\.layers\.0\.linear_attn\.conv1d is none/],
);

test('PREFIX_TUNING: layers with a state have no keys and values to stand before', () => {
  assert.throws(() => check({ peft_type: 'PREFIX_TUNING', num_virtual_tokens: 3 }, recurrent), {
    code: 'unsupported_model',
    message: /carry a state instead of keys and values.*virtual tokens before the text/,
  });
});

test('a convolution can be trained whole, and "all-linear" leaves it out', () => {
  check({ ...lora, modules_to_save: ['conv1d'] }, recurrent);
  check({ peft_type: 'LN_TUNING', target_modules: ['norm', 'conv1d'] }, recurrent);
  check({ ...lora, target_modules: 'all-linear' }, recurrent);
});
