import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryToTrain } from './memory-to-train.ts';

const sizes = {
  vocab_size: 30_522,
  hidden_size: 384,
  intermediate_size: 1536,
  num_hidden_layers: 6,
  num_attention_heads: 12,
  max_position_embeddings: 512,
};
const memory = (config: Record<string, unknown>, tokens = 512) =>
  memoryToTrain(config, { tokens, storage: 'bf16', device: 'cpu' });

test('a model is estimated for its own task', () => {
  const decoder = { ...sizes, model_type: 'llama' };
  const encoder = { ...sizes, model_type: 'bert' };
  const t5 = { model_type: 't5', d_model: 384, d_ff: 1536, num_layers: 6, num_heads: 12, vocab_size: 30_522 };
  for (const config of [
    decoder,
    encoder,
    { ...encoder, architectures: ['BertForSequenceClassification'] },
    { ...encoder, architectures: ['BertForTokenClassification'], id2label: { 0: 'A', 1: 'B', 2: 'C' } },
    t5,
  ])
    assert.ok(memory(config) > 50e6 && memory(config) < 2e9, `${config.model_type}: ${memory(config)}`);
  // Two texts of a pair take more than one, and a head over the vocabulary more than both.
  assert.ok(memory(encoder) > memory({ ...encoder, architectures: ['BertForSequenceClassification'] }));
  assert.ok(memory(decoder) > memory(encoder));
});

test('a text is no longer than the model allows', () => {
  const encoder = { ...sizes, model_type: 'bert' };
  assert.equal(memory(encoder, 2048), memory(encoder, 512));
  assert.ok(memory(encoder, 128) < memory(encoder, 512));
});
