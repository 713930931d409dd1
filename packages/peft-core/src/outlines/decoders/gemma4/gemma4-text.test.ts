import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tinyFamilies } from '../../../testing/tiny-families.ts';
import { tinyConfig } from '../../../testing/tiny-model.ts';
import { storedWeights } from '../../../weights/base-storage.ts';
import type { DecoderOutline } from '../../decoder.ts';
import { outlineOf } from '../../index.ts';
import { attentionOf, keysAndValuesWidth, layersOf } from '../../outline.ts';

const outline = (fields: Record<string, unknown>) =>
  outlineOf({ ...tinyConfig, ...tinyFamilies.gemma4_text, ...fields }) as DecoderOutline;
const sizesOf = (model: DecoderOutline) =>
  Array.from({ length: model.layers }, (_, layer) => attentionOf(model, layer));

test('layers that attend to keys and values of others have no cache', () => {
  const model = outline({});
  assert.deepEqual(layersOf(model).attending, [0, 1]);
  assert.equal(keysAndValuesWidth(model), 2 * 2 * 8 + 2 * 2 * 12);
  assert.deepEqual(
    sizesOf(model).map(({ keysFrom }) => keysFrom),
    [null, null, 0, 1],
  );
  assert.deepEqual([0, 1, 2, 3].map(model.innerOf), [64, 64, 128, 128]);
});

test('sizes of single layers are read in the form of each version of transformers', () => {
  const old = { num_kv_shared_layers: 0, num_global_key_value_heads: 1 };
  assert.deepEqual(sizesOf(outline({ ...old, attention_k_eq_v: true })).at(1), {
    kvHeads: 1,
    headSize: 12,
    keysFrom: null,
  });
  // Without keys that are values, the number of key heads is that of the other layers.
  assert.equal(sizesOf(outline(old)).at(1)?.kvHeads, 2);
  const per_layer_config = {
    '01': { head_dim: 20, num_key_value_heads: 4 },
    '3': { head_dim: 20, num_key_value_heads: 4 },
  };
  const { kvHeads, headSize } = attentionOf(outline({ per_layer_config }), 1);
  assert.deepEqual([kvHeads, headSize], [4, 20]);
});

test('the last layer has no window', () => {
  const model = outline({ layer_types: undefined, num_kv_shared_layers: 0, num_hidden_layers: 4 });
  assert.deepEqual([0, 1, 2, 3].map(model.window), [7, 7, 7, null]);
});

test('faults name the field', () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ enable_moe_block: true }, /^enable_moe_block is true/],
    [{ use_bidirectional_attention: 'all' }, /use_bidirectional_attention must not be "all"/],
    [{ num_kv_shared_layers: 4 }, /num_kv_shared_layers must be less than num_hidden_layers/],
    [{ num_kv_shared_layers: -1 }, /num_kv_shared_layers must be a whole number from 0/],
    [{ num_kv_shared_layers: 3 }, /num_kv_shared_layers leaves no layer with keys and values/],
    [{ global_head_dim: 13 }, /layer 1: head_dim 13 must be even/],
    [{ per_layer_config: [] }, /per_layer_config must be an object/],
    [
      { per_layer_config: { x: {} } },
      /per_layer_config\["x"\] must be an object under the number of a layer/,
    ],
    [
      { per_layer_config: { 1: { head_dim: 0 } } },
      /per_layer_config\["1"\]: head_dim must be a positive integer/,
    ],
    [{ per_layer_config: { 1: { sliding_window: 3 } } }, /sliding_window of single layers is not supported/],
    [
      { per_layer_config: { 3: { head_dim: 20 } } },
      /layer 3 shares keys and values with layer 1, whose sizes differ/,
    ],
    [{ vocab_size_per_layer_input: 100 }, /vocab_size_per_layer_input must be at least vocab_size/],
    [{ hidden_size_per_layer_input: -4 }, /hidden_size_per_layer_input must be a whole number from 0/],
    [{ final_logit_softcapping: 0 }, /final_logit_softcapping must be greater than 0/],
    [{ layer_types: ['full_attention'] }, /layer_types must be a list with an entry for each/],
  ];
  for (const [fields, message] of cases)
    assert.throws(() => outline(fields), {
      param: 'model',
      message: new RegExp(message.source.replace(/^\^/, '')),
    });
});

test('the table of inputs is stored in int8 beside every quantised base', () => {
  const file = join(import.meta.dirname, '../../../../../../test/golden/published-configs/gemma4.json');
  const { config } = JSON.parse(readFileSync(file, 'utf8'))['google/gemma-4-E2B-it'];
  const model = outlineOf(config);
  for (const storage of ['int8', 'nf4'] as const) {
    const table = storedWeights(model, storage, true).find(({ name }) =>
      name.includes('embed_tokens_per_layer'),
    );
    assert.deepEqual([table?.storage, table?.shape], ['int8', [262_144, 35 * 256]]);
  }
});
