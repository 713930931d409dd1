import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { tinyConfig } from '../../testing/tiny-model.ts';
import { outlineOf } from '../index.ts';
import { layersOf } from '../outline.ts';

const config = { ...tinyConfig, ...tinyFamilies.qwen3_5_text };
const layers = (fields: Record<string, unknown>) =>
  layersOf(outlineOf({ ...config, layer_types: undefined, num_hidden_layers: 8, ...fields }));

test('every fourth layer has attention, or every one that full_attention_interval counts, or those that layer_types lists', () => {
  assert.deepEqual(layers({}).attending, [3, 7]);
  assert.deepEqual(layers({ full_attention_interval: 3 }).attending, [2, 5]);
  assert.deepEqual(layersOf(outlineOf(config)), { attending: [1], recurrent: [0] });
});

test('fields that do not fit are reported together', () => {
  const fields = {
    linear_num_key_heads: 3,
    linear_conv_kernel_dim: 0,
    layer_types: ['linear_attention', 'sliding_attention'],
  };
  assert.throws(() => outlineOf({ ...config, ...fields }), {
    code: 'invalid_model_config',
    message:
      /linear_num_key_heads must divide linear_num_value_heads.*"sliding_attention" is not supported.*linear_conv_kernel_dim must be a positive integer/,
  });
  assert.throws(() => outlineOf({ ...config, layer_types: ['linear_attention'] }), {
    message: /layer_types must be a list with an entry for each of num_hidden_layers/,
  });
});
