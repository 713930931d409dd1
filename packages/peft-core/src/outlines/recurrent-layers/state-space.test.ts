import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { tinyConfig } from '../../testing/tiny-model.ts';
import { outlineOf } from '../index.ts';
import { layersOf } from '../outline.ts';

const config = { ...tinyConfig, ...tinyFamilies.granitemoehybrid };
const outline = (fields: Record<string, unknown> = {}) => outlineOf({ ...config, ...fields });

test('layers by the names of transformers 4 and 5; without a list all have a state, and a model may have none', () => {
  assert.deepEqual(layersOf(outline()), { attending: [1], recurrent: [0] });
  const today = outline({ layer_types: ['linear_attention', 'full_attention'] });
  assert.deepEqual(layersOf(today), layersOf(outline()));
  assert.deepEqual(layersOf(outline({ layer_types: null })), { attending: [], recurrent: [0, 1] });
  const attending = outline({ layer_types: ['attention', 'attention'], hidden_act: 'gelu' });
  assert.equal(attending.recurrence, undefined);
});

test('the size of a head follows from their number', () => {
  for (const mamba_d_head of ['auto', undefined, 16])
    assert.equal(outline({ mamba_d_head }).recurrence!.valueSize, 16);
});

test('time steps may be limited by nothing but 0 and infinity, as transformers writes it', () => {
  for (const most of ['Infinity', { __float__: 'Infinity' }]) outline({ time_step_limit: [0, most] });
  assert.throws(() => outline({ time_step_limit: [0.001, 0.1] }), {
    message: /time_step_limit must be \[0, Infinity\] or absent/,
  });
});

test('fields that do not fit are reported together', () => {
  const fields = { mamba_n_heads: 5, mamba_d_head: 10, mamba_n_groups: 2, hidden_act: 'gelu' };
  assert.throws(() => outline(fields), {
    code: 'invalid_model_config',
    message:
      /mamba_n_heads must divide mamba_expand \* hidden_size; mamba_n_groups must divide mamba_n_heads; mamba_d_head \* mamba_n_heads must be mamba_expand \* hidden_size; hidden_act must be "silu"/,
  });
});
