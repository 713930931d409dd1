import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { defaultTask, outlineOf, type TaskType } from './index.ts';

const sizes = {
  vocab_size: 50,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 4,
  max_position_embeddings: 40,
};
const bert = (task: TaskType, more: object = {}) =>
  outlineOf({ ...sizes, model_type: 'bert', ...more }, task);
const roberta = (task: TaskType, more: object = {}) =>
  outlineOf({ ...sizes, model_type: 'roberta', ...more }, task);

test("the task of a base model is its class's, or what its family is for", () => {
  const task = (model_type: string, ...architectures: string[]) => defaultTask({ model_type, architectures });
  assert.equal(task('bert', 'BertForMaskedLM'), 'FEATURE_EXTRACTION');
  assert.equal(task('roberta', 'RobertaForSequenceClassification'), 'SEQ_CLS');
  assert.equal(task('bert', 'BertForTokenClassification'), 'TOKEN_CLS');
  assert.equal(task('llama', 'LlamaModel'), 'FEATURE_EXTRACTION');
  assert.equal(task('llama', 'LlamaForCausalLM'), 'CAUSAL_LM');
  assert.equal(task('gpt2', 'GPT2LMHeadModel'), 'CAUSAL_LM');
  assert.equal(defaultTask({ model_type: 'llama' }), 'CAUSAL_LM');
  assert.equal(defaultTask({ model_type: 'bert' }), 'FEATURE_EXTRACTION');
});

test("RoBERTa's positions begin after the padding's", () => {
  assert.equal(bert('FEATURE_EXTRACTION').maxPositions, 40);
  assert.equal(roberta('FEATURE_EXTRACTION').maxPositions, 38);
  assert.equal(roberta('FEATURE_EXTRACTION', { pad_token_id: 3 }).maxPositions, 36);
});

test('heads, by task and family, with as many classes as config.json has', () => {
  const heads = (outline: ReturnType<typeof outlineOf>) =>
    outline.parameters.filter(({ fresh, unread }) => fresh !== undefined && !unread);
  const named = { id2label: { 0: 'a', 1: 'b', 2: 'c' } };
  const classifier = [
    ['classifier.weight', [3, 32]],
    ['classifier.bias', [3]],
  ];
  const found = (outline: ReturnType<typeof outlineOf>) =>
    heads(outline).map(({ name, shape }) => [name, shape]);
  assert.deepEqual(found(bert('SEQ_CLS', named)), classifier);
  assert.deepEqual(found(bert('TOKEN_CLS', named)), classifier);
  assert.deepEqual(found(roberta('TOKEN_CLS', named)), classifier);
  assert.deepEqual(found(roberta('SEQ_CLS', named)), [
    ['classifier.dense.weight', [32, 32]],
    ['classifier.dense.bias', [32]],
    ['classifier.out_proj.weight', [3, 32]],
    ['classifier.out_proj.bias', [3]],
  ]);
  assert.deepEqual(found(bert('FEATURE_EXTRACTION')), []);
});

test('what cannot be is refused, every field named', () => {
  const refused = (make: () => unknown, code: string, pattern: RegExp) =>
    assert.throws(make, (error: GraftError) => error.code === code && pattern.test(error.message));
  refused(() => bert('CAUSAL_LM'), 'unsupported_task', /bert models do SEQ_CLS, .* not CAUSAL_LM/);
  const faulty = { num_attention_heads: 5, is_decoder: true, hidden_dropout_prob: 1, hidden_act: 'mish' };
  const fields = /hidden_dropout_prob.*num_attention_heads must divide.*is_decoder.*hidden_act/;
  refused(() => bert('SEQ_CLS', faulty), 'invalid_model_config', fields);
  refused(
    () => bert('SEQ_CLS', { position_embedding_type: 'relative_key' }),
    'invalid_model_config',
    /position_embedding_type/,
  );
});
