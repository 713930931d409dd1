import path from 'node:path';
import { writeByteModel } from '@graft/peft-core/testing';
import { Random } from '../../packages/peft-core/src/random.ts';
import { elementCount } from '../../packages/peft-core/src/tensors/tensor-source.ts';

type Config = Record<string, unknown> & { model_type: string };

/** Four layers of published models, by family: widths, heads and vocabularies are theirs. */
export const published: Record<string, Config> = {
  gemma3_text: {
    model_type: 'gemma3_text',
    hidden_size: 2560,
    intermediate_size: 10_240,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    vocab_size: 262_208,
    sliding_window: 1024,
    layer_types: ['sliding_attention', 'sliding_attention', 'sliding_attention', 'full_attention'],
  },
  phi3: {
    model_type: 'phi3',
    hidden_size: 3072,
    intermediate_size: 8192,
    num_attention_heads: 24,
    num_key_value_heads: 8,
    vocab_size: 200_064,
    partial_rotary_factor: 0.75,
    pad_token_id: 199_999,
    tie_word_embeddings: true,
  },
  smollm3: {
    model_type: 'smollm3',
    hidden_size: 2048,
    intermediate_size: 11_008,
    num_attention_heads: 16,
    num_key_value_heads: 4,
    vocab_size: 128_256,
    no_rope_layers: [1, 1, 1, 0],
    pad_token_id: 128_004,
    tie_word_embeddings: true,
  },
  granite: {
    model_type: 'granite',
    hidden_size: 2048,
    intermediate_size: 8192,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    vocab_size: 49_159,
    embedding_multiplier: 12,
    attention_multiplier: 0.015625,
    residual_multiplier: 0.22,
    logits_scaling: 8,
    tie_word_embeddings: true,
  },
  olmo2: {
    model_type: 'olmo2',
    hidden_size: 2048,
    intermediate_size: 8192,
    num_attention_heads: 16,
    vocab_size: 100_352,
    tie_word_embeddings: false,
  },
  olmo3: {
    model_type: 'olmo3',
    hidden_size: 4096,
    intermediate_size: 11_008,
    num_attention_heads: 32,
    vocab_size: 100_278,
    sliding_window: 4096,
    layer_types: ['sliding_attention', 'sliding_attention', 'sliding_attention', 'full_attention'],
    tie_word_embeddings: false,
  },
  ministral3: {
    model_type: 'ministral3',
    hidden_size: 3072,
    intermediate_size: 9216,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    head_dim: 128,
    vocab_size: 131_072,
    tie_word_embeddings: true,
  },
};

const sizeFields = ['hidden_size', 'num_attention_heads', 'num_key_value_heads', 'head_dim', 'vocab_size'];

/** A llama whose matrices have the sizes of those that a token passes through: the same products. */
export function likeLlama(config: Config): Config {
  const sizes = Object.fromEntries(
    sizeFields.flatMap((field) => (field in config ? [[field, config[field]]] : [])),
  );
  return {
    ...sizes,
    model_type: 'llama',
    intermediate_size: config.intermediate_size,
    tie_word_embeddings: config.tie_word_embeddings ?? true,
  };
}

/** Random values, repeated: drawing hundreds of millions would take longer than the measurement. */
const values = Float32Array.from({ length: 65_537 }, (_, i) => 0.02 * new Random(1, 'test', i).normal());

/** Writes a model with four layers and random weights. */
export async function writeModel(folder: string, name: string, config: Config): Promise<string> {
  const model = path.join(folder, name);
  const whole = { num_hidden_layers: 4, max_position_embeddings: 4096, ...config };
  await writeByteModel(model, whole, ({ name, shape }) => {
    const data = new Float32Array(elementCount(shape));
    if (shape.length === 1 && name.endsWith('norm.weight')) data.fill(1);
    else
      for (let at = 0; at < data.length; at += values.length)
        data.set(values.subarray(0, data.length - at), at);
    return { name, shape, data };
  });
  return model;
}
