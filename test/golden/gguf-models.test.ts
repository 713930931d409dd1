/** GGUF files of every architecture that Graft reads in that form are the models that they were made from. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { graftOutputs, largestDifference } from './fixtures/graft-outputs.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';

const decoder = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  bos_token_id: 1,
  eos_token_id: 2,
  pad_token_id: 3,
};
const rope = { rope_parameters: { rope_type: 'default', rope_theta: 1_000_000 } };

const models: Record<string, Record<string, unknown>> = {
  llama: { ...decoder, model_type: 'llama', tie_word_embeddings: true },
  mistral: { ...decoder, model_type: 'mistral', sliding_window: null, tie_word_embeddings: false },
  qwen2: { ...decoder, ...rope, model_type: 'qwen2', tie_word_embeddings: true },
  'qwen2, untied': { ...decoder, model_type: 'qwen2', rms_norm_eps: 1e-5, tie_word_embeddings: false },
  qwen3: { ...decoder, ...rope, model_type: 'qwen3', head_dim: 24, tie_word_embeddings: true },
  gemma3_text: {
    ...decoder,
    model_type: 'gemma3_text',
    num_hidden_layers: 7,
    head_dim: 24,
    query_pre_attn_scalar: 24,
    sliding_window: 20,
    tie_word_embeddings: true,
  },
  gemma4_text: {
    ...decoder,
    model_type: 'gemma4_text',
    num_hidden_layers: 6,
    layer_types: Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? 'sliding_attention' : 'full_attention')),
    head_dim: 24,
    global_head_dim: 32,
    sliding_window: 20,
    num_kv_shared_layers: 2,
    use_double_wide_mlp: true,
    hidden_size_per_layer_input: 16,
    final_logit_softcapping: 8.5,
  },
  gpt_oss: {
    ...decoder,
    model_type: 'gpt_oss',
    head_dim: 24,
    num_hidden_layers: 3,
    num_local_experts: 4,
    num_experts_per_tok: 2,
    sliding_window: 20,
    tie_word_embeddings: false,
  },
  gpt2: {
    model_type: 'gpt2',
    n_embd: 64,
    n_inner: 96,
    n_layer: 2,
    n_head: 4,
    n_positions: 256,
    bos_token_id: 1,
    eos_token_id: 2,
    pad_token_id: 3,
  },
};

const folder = scratchFolder('gguf');
const folderOf = (name: string) => join(folder, name.replaceAll(/\W+/g, '-'));
const ggufOf = (name: string) => `${folderOf(name)}.gguf`;
await runPythonJson('gguf_models.py', [], {
  models: Object.entries(models).map(([name, config], i) => ({
    output: folderOf(name),
    gguf: ggufOf(name),
    config,
    task: 'CAUSAL_LM',
    seed: 70 + i,
    // Folder and file have the matrices of experts in MXFP4.
    packed: config.model_type === 'gpt_oss',
  })),
});
const probes = [Array.from({ length: 60 }, (_, i) => 4 + ((i * 37) % 300))];
const text = 'The gardener grafts 12 apples.<|im_end|>\n';

for (const name of Object.keys(models)) {
  test(`${name}: the same weights, tokens and scores as from the folder`, async () => {
    const [hf, gguf] = await Promise.all([openBaseModel(folderOf(name)), openBaseModel(ggufOf(name))]);
    try {
      assert.deepEqual(gguf.tensors.names().sort(), hf.tensors.names().sort());
      for (const tensor of hf.tensors.names()) {
        assert.deepEqual(gguf.tensors.info(tensor).shape, hf.tensors.info(tensor).shape, tensor);
        const [stored, expected] = [
          await gguf.tensors.readFloat32(tensor),
          await hf.tensors.readFloat32(tensor),
        ];
        if (name === 'gemma3_text' && tensor.endsWith('norm.weight')) {
          // The file has these weights plus 1, rounded.
          assert.ok(
            stored.every((value, i) => Math.abs(value - expected[i]!) < 1e-6),
            tensor,
          );
          continue;
        }
        const rounded = await hf.tensors.readBfloat16(tensor);
        if (tensor.includes('.experts.')) {
          // MXFP4 has a negative zero in folders only.
          for (const [i, value] of expected.entries()) expected[i] = value + 0;
          for (const [i, bits] of rounded.entries()) if (bits === 0x8000) rounded[i] = 0;
        }
        assert.deepEqual(stored, expected, tensor);
        assert.deepEqual(await gguf.tensors.readBfloat16(tensor), rounded, tensor);
      }
      const [ofFolder, ofFile] = [hf, gguf].map(({ tokenizerFiles }) => loadTokenizer(tokenizerFiles));
      assert.deepEqual(ofFile!.encode(text), ofFolder!.encode(text));
      const messages = [{ role: 'user' as const, content: 'hello' }];
      assert.equal(ofFile!.applyChatTemplate(messages), ofFolder!.applyChatTemplate(messages));
    } finally {
      await Promise.all([hf.close(), gguf.close()]);
    }
    const difference = largestDifference(
      await graftOutputs(folderOf(name), null, probes),
      await graftOutputs(ggufOf(name), null, probes),
    );
    assert.ok(
      difference < (name === 'gemma3_text' ? 1e-4 : 1e-6),
      `log-probabilities differ by ${difference}`,
    );
  });
}
