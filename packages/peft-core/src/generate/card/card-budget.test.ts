/** Tests how a GPU's memory is divided, for models of known sizes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '../../errors.ts';
import { architectureFor } from '../../models/registry.ts';
import { BLOCK } from '../block-pool.ts';
import { cardBudget, cardStorage, weightBytes, workspaceBytes } from './card-budget.ts';
import { bytesOfPosition } from './card-cache.ts';
import { bytesOfLane } from './lane-arena.ts';

const llama = (vocab_size: number, kvHeads: number, intermediate_size: number) =>
  architectureFor('llama', {
    model_type: 'llama',
    hidden_size: 4096,
    intermediate_size,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    num_key_value_heads: kvHeads,
    vocab_size,
    max_position_embeddings: 8192,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
    tie_word_embeddings: false,
  });
const [llama2, llama3] = [llama(32_000, 32, 11_008), llama(128_256, 8, 14_336)];
const limits = { context: 2048, rows: 16, cacheBytes: 512e6, updateBytes: 128e6 };

test('weights are as large as their files, and a quarter of that in nf4', () => {
  // 6,738,415,616 parameters, of which 266,240 are norms, which stay in float32.
  assert.equal(weightBytes(llama2, 'bfloat16'), 2 * 6_738_415_616 + 2 * 266_240);
  const nf4 = weightBytes(llama2, 'nf4');
  assert.ok(nf4 > 3.4e9 && nf4 < 3.8e9, `${nf4}`);
});

test('the cache has what is left of a card, and a twelfth goes to adapters', () => {
  for (const [architecture, gigabytes, contexts, lanes] of [
    [llama2, 24, 5, 100],
    [llama2, 80, 40, 900],
    [llama3, 24, 10, 50],
    [llama3, 80, 64, 700],
  ] as const) {
    const { blocks, updateBytes } = cardBudget(
      architecture,
      { ...limits, memoryBytes: gigabytes * 1e9 },
      'bfloat16',
    );
    const parts = [
      blocks * BLOCK * bytesOfPosition(architecture, 'bfloat16'),
      updateBytes,
      weightBytes(architecture, 'bfloat16'),
      workspaceBytes(architecture, limits, 'bfloat16'),
    ];
    const used = parts.reduce((sum, part) => sum + part, 0);
    assert.ok(used < 0.95 * gigabytes * 1e9, `${used} of ${gigabytes} GB`);
    assert.ok(blocks * BLOCK >= contexts * limits.context, `${(blocks * BLOCK) / limits.context} contexts`);
    const found = updateBytes / bytesOfLane(architecture, 'bfloat16');
    assert.ok(found >= lanes, `${found} lanes`);
  }
});

test('at most four contexts a row; without a limit the requested size', () => {
  const { blocks } = cardBudget(llama3, { ...limits, rows: 2, memoryBytes: 140e9 }, 'bfloat16');
  assert.equal(blocks * BLOCK, 2 * 4 * limits.context);
  const asked = cardBudget(llama3, limits, 'bfloat16');
  const blocksAsked = Math.floor(512e6 / (BLOCK * 131_072));
  assert.deepEqual(asked, { blocks: blocksAsked, updateBytes: 128e6, sequences: limits.rows });
});

test('a base that does not fit is refused, or held in the storage that the adapter was trained on', () => {
  const small = { ...limits, memoryBytes: 14e9 };
  const refused = ({ code, fault, message }: GraftError) =>
    code === 'model_too_large' &&
    fault === 'environment' &&
    /13\.5 GB for its weights as bfloat16.*the card has 14\.0 GB.*GRAFT_SERVER_BASE_DTYPE/.test(message);
  assert.throws(() => cardStorage(llama2, small, null), refused);
  assert.equal(cardStorage(llama2, small, 'nf4'), 'nf4');
  assert.equal(cardStorage(llama2, { ...small, baseDtype: 'int8' }, 'nf4'), 'int8');
  assert.throws(() => cardStorage(llama2, { ...small, baseDtype: 'bf16' }, 'nf4'), refused);
  assert.equal(cardStorage(llama2, { ...limits, memoryBytes: 24e9 }, 'nf4'), 'bfloat16');
  assert.throws(() => cardStorage(llama2, { ...limits, memoryBytes: 4e9 }, 'nf4'), {
    code: 'model_too_large',
  });
});
