import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors } from '@graft/peft-core/models';

const config = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  vocab_size: 260,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  bos_token_id: 256,
  eos_token_id: 257,
};

/** A real llama with random weights, a byte-level tokenizer and a chat template, as a Hugging Face folder (~100 kB). */
export async function writeTinyModel(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const write = (name: string, value: unknown) => writeFile(join(folder, name), JSON.stringify(value));
  await write('config.json', config);
  await write('generation_config.json', { eos_token_id: [257] });
  await write('tokenizer.json', byteTokenizer());
  await write('tokenizer_config.json', {
    bos_token: '<s>',
    eos_token: '</s>',
    chat_template:
      "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '</s>' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}",
  });
  const random = noise(1);
  const tensors = shapes().map(([name, shape]) => {
    const length = shape.reduce((product, size) => product * size, 1);
    const isNorm = name.includes('norm');
    return { name, shape, data: Float32Array.from({ length }, () => (isNorm ? 1 : 0.1 * random())) };
  });
  await writeSafetensors(join(folder, 'model.safetensors'), tensors);
}

function shapes(): [string, number[]][] {
  const layers = [0, 1].flatMap((layer): [string, number[]][] => {
    const at = `model.layers.${layer}`;
    return [
      [`${at}.input_layernorm.weight`, [32]],
      [`${at}.self_attn.q_proj.weight`, [32, 32]],
      [`${at}.self_attn.k_proj.weight`, [16, 32]],
      [`${at}.self_attn.v_proj.weight`, [16, 32]],
      [`${at}.self_attn.o_proj.weight`, [32, 32]],
      [`${at}.post_attention_layernorm.weight`, [32]],
      [`${at}.mlp.gate_proj.weight`, [64, 32]],
      [`${at}.mlp.up_proj.weight`, [64, 32]],
      [`${at}.mlp.down_proj.weight`, [32, 64]],
    ];
  });
  return [['model.embed_tokens.weight', [260, 32]], ...layers, ['model.norm.weight', [32]]];
}

/** One token per byte, in the letters that GPT-2's byte-level encoding gives bytes, and four special tokens. */
function byteTokenizer(): object {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let next = 256;
  const letters = Array.from({ length: 256 }, (_, byte) =>
    String.fromCodePoint(printable(byte) ? byte : next++),
  );
  const special = ['<s>', '</s>', '<pad>', '<unk>'];
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content, i) => ({
      id: 256 + i,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(letters.map((letter, id) => [letter, id])),
      merges: [],
    },
  };
}

/** Even in -1…1, the same for the same seed (a linear congruential generator, Numerical Recipes' constants). */
function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}
