import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Field, GgufTensorToWrite, GgufToWrite } from '../../gguf/testing/write-gguf.ts';
import type { TensorToWrite } from '../../safetensors/write-safetensors.ts';
import { elementCount } from '../../tensors/tensor-source.ts';

/** A llama model small enough for a test: 2 layers, 4 query and 2 key-value heads of 8, 12 tokens. */
export const tinyConfig = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  vocab_size: 12,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  bos_token_id: 0,
  eos_token_id: 1,
};

/** Hugging Face names and shapes of its weights. */
function tinyShapes(): [name: string, shape: number[]][] {
  const layers = [0, 1].flatMap((i): [string, number[]][] => {
    const at = `model.layers.${i}`;
    return [
      [`${at}.input_layernorm.weight`, [32]],
      [`${at}.mlp.down_proj.weight`, [32, 64]],
      [`${at}.mlp.gate_proj.weight`, [64, 32]],
      [`${at}.mlp.up_proj.weight`, [64, 32]],
      [`${at}.post_attention_layernorm.weight`, [32]],
      [`${at}.self_attn.k_proj.weight`, [16, 32]],
      [`${at}.self_attn.o_proj.weight`, [32, 32]],
      [`${at}.self_attn.q_proj.weight`, [32, 32]],
      [`${at}.self_attn.v_proj.weight`, [16, 32]],
    ];
  });
  return [['model.embed_tokens.weight', [12, 32]], ...layers, ['model.norm.weight', [32]]];
}

/** Distinct, exactly representable values, so that a misplaced row is detected. */
export function tinyWeights(): (TensorToWrite & { data: Float32Array })[] {
  return tinyShapes().map(([name, shape], t) => ({
    name,
    shape,
    data: Float32Array.from({ length: elementCount(shape) }, (_, i) => t + i / 4096),
  }));
}

const tinyTokens = ['<s>', '</s>', 'a', 'b', 'Ġ', '1', '2', 'ab', 'c', 'd', '!', '<think>'];

export const tinyTokenizer = {
  version: '1.0',
  added_tokens: [0, 1].map((id) => ({ id, content: tinyTokens[id], special: true, normalized: false })),
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(tinyTokens.map((token, id) => [token, id])),
    merges: ['a b'],
  },
};

/** Writes the small files of a Hugging Face folder; the caller writes the weights. */
export async function writeTinyFolder(folder: string, config: Record<string, unknown> = {}): Promise<void> {
  await mkdir(folder, { recursive: true });
  const write = (name: string, value: unknown) => writeFile(path.join(folder, name), JSON.stringify(value));
  await write('config.json', { ...tinyConfig, ...config });
  await write('generation_config.json', { eos_token_id: [1] });
  await write('tokenizer.json', tinyTokenizer);
  await write('tokenizer_config.json', { eos_token: '</s>', chat_template: '{{ messages[0].content }}' });
}

const ggufParts: Record<string, string> = {
  'model.embed_tokens': 'token_embd',
  'model.norm': 'output_norm',
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

/** The same model as llama.cpp's converter writes it: GGUF names, rows of q and k interleaved, all F32. */
export function tinyGguf(): GgufToWrite {
  const string = (value: string): Field => ({ type: 'string', value });
  const u32 = (value: number): Field => ({ type: 'u32', value });
  const fields: Record<string, Field> = {
    'general.architecture': string('llama'),
    'llama.context_length': u32(64),
    'llama.embedding_length': u32(32),
    'llama.block_count': u32(2),
    'llama.feed_forward_length': u32(64),
    'llama.attention.head_count': u32(4),
    'llama.attention.head_count_kv': u32(2),
    'llama.rope.dimension_count': u32(8),
    'llama.rope.freq_base': { type: 'f32', value: 10000 },
    'llama.attention.layer_norm_rms_epsilon': { type: 'f32', value: 1e-5 },
    'tokenizer.ggml.model': string('gpt2'),
    'tokenizer.ggml.pre': string('smollm'),
    'tokenizer.ggml.tokens': { type: 'strings', value: tinyTokens },
    'tokenizer.ggml.token_type': {
      type: 'i32s',
      value: tinyTokens.map((_, id) => (id < 2 ? 3 : id === 11 ? 4 : 1)),
    },
    'tokenizer.ggml.merges': { type: 'strings', value: ['a b'] },
    'tokenizer.ggml.bos_token_id': u32(0),
    'tokenizer.ggml.eos_token_id': u32(1),
    'tokenizer.ggml.add_bos_token': { type: 'bool', value: true },
    'tokenizer.chat_template': string('{{ messages[0].content }}'),
  };
  return { fields, tensors: tinyWeights().map(ggufTensor) };
}

function ggufTensor({ name, shape, data }: TensorToWrite & { data: Float32Array }): GgufTensorToWrite {
  const [, layer, module] = /^(?:model\.layers\.(\d+)\.)?(.+)\.weight$/.exec(name)!;
  const part = ggufParts[module!]!;
  const heads = { attn_q: 4, attn_k: 2 }[part];
  const rows = heads ? interleave(data, shape[0]!, heads) : data;
  return {
    name: `${layer === undefined ? '' : `blk.${layer}.`}${part}.weight`,
    shape: [...shape],
    type: 0,
    data: new Uint8Array(rows.buffer),
  };
}

/** llama.cpp's permutation: `reshape(heads, 2, D/2, …).swapaxes(1, 2)` on the rows. */
function interleave(data: Float32Array, rows: number, heads: number): Float32Array {
  const width = data.length / rows;
  const half = rows / heads / 2;
  const out = new Float32Array(data.length);
  let to = 0;
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < half; i++) {
      for (let part = 0; part < 2; part++) {
        const from = head * 2 * half + part * half + i;
        out.set(data.subarray(from * width, (from + 1) * width), width * to++);
      }
    }
  }
  return out;
}
