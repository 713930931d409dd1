/** Checkpoints in float8 with scales are the models that transformers unpacks: scripts/golden/references/float8_models.py. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openBaseModel } from '@graft/peft-core/files';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { graftOutputs, largestDifference } from './fixtures/graft-outputs.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';

const folder = scratchFolder('float8');
const text = {
  model_type: 'ministral3',
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 16,
  max_position_embeddings: 256,
  bos_token_id: 1,
  eos_token_id: 2,
  pad_token_id: 3,
  tie_word_embeddings: false,
};
const inputs = [Array.from({ length: 40 }, (_, i) => 4 + ((i * 37) % 300))];
const kinds = [
  { scales: 'tensor', end: '_scale_inv' },
  { scales: 'block', end: '_scale_inv' },
  { scales: 'row', end: '_scale' },
];
const models = kinds.map((kind, i) => ({
  ...kind,
  output: join(folder, kind.scales),
  config: text,
  task: 'CAUSAL_LM',
  seed: 90 + i,
  inputs,
}));
const references = await runPythonJson<{ weights: Record<string, number[]>; logprobs: number[][] }>(
  'float8_models.py',
  [],
  { models },
);

for (const [i, { output, scales }] of models.entries())
  test(`a scale for each ${scales}: the weights and scores of transformers`, async () => {
    const { weights, logprobs } = references[i]!;
    const base = await openBaseModel(output);
    try {
      assert.equal(base.config.quantization_config, undefined);
      assert.deepEqual(
        base.tensors.names().filter((name) => name.includes('scale')),
        [],
      );
      assert.ok(Object.keys(weights).length >= 14);
      for (const [name, values] of Object.entries(weights)) {
        const info = base.tensors.info(name);
        assert.equal(info.dtype, 'BF16');
        const found = await base.tensors.readFloat32(name);
        assert.deepEqual([...found.subarray(0, values.length)], values, name);
      }
    } finally {
      await base.close();
    }
    assert.ok(largestDifference(await graftOutputs(output, null, inputs), logprobs) < 1e-4);
  });
