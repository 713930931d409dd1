import { GraftError } from '../errors.ts';
import { modelTypes } from '../outlines/index.ts';
import { modelClass } from '../outlines/model-class.ts';
import { type GgufArchitecture, ggufArchitectures } from './architectures.ts';
import type { GgufFile } from './gguf.ts';
import type { GgufMetadata } from './metadata.ts';

/**
 * Hugging Face config.json fields from GGUF metadata. `ropeFactors` are the values of `rope_freqs.weight`, by which
 * llama.cpp's converter keeps Llama 3's rope scaling; null when the file has none.
 * Throws GraftError `unsupported_model` or `invalid_gguf`, naming the key.
 */
export function ggufConfig(gguf: GgufFile, ropeFactors: Float32Array | null): Record<string, unknown> {
  const { metadata, tensors, file } = gguf;
  const { modelType } = architectureOf(gguf);
  const architecture = architectureName(metadata);
  const count = (key: string) => metadata.count(`${architecture}.${key}`);
  const needed = (key: string) => metadata.required(`${architecture}.${key}`, count(key));
  if (count('expert_count')) {
    throw new GraftError('unsupported_model', `${file.path}: mixtures of experts are not supported`, {
      param: 'model',
    });
  }
  const decimal = (key: string) =>
    shortestDecimal(metadata.required(`${architecture}.${key}`, metadata.number(`${architecture}.${key}`)));
  const common = {
    architectures: [modelClass(modelType, 'CAUSAL_LM')],
    bos_token_id: metadata.count('tokenizer.ggml.bos_token_id') ?? null,
    dtype: 'float32',
    eos_token_id: metadata.count('tokenizer.ggml.eos_token_id') ?? null,
    model_type: modelType,
    pad_token_id: metadata.count('tokenizer.ggml.padding_token_id') ?? null,
    // A file without an output matrix uses the token embeddings for it.
    tie_word_embeddings: !tensors.has('output.weight'),
    vocab_size: vocabularySize(gguf, count('vocab_size')),
  };
  const hiddenSize = needed('embedding_length');
  const heads = needed('attention.head_count');
  if (modelType === 'gpt2')
    return {
      ...common,
      activation_function: 'gelu_new',
      layer_norm_epsilon: decimal('attention.layer_norm_epsilon'),
      n_embd: hiddenSize,
      n_head: heads,
      n_inner: needed('feed_forward_length'),
      n_layer: needed('block_count'),
      n_positions: needed('context_length'),
    };
  const headSize =
    count('attention.key_length') ?? count('rope.dimension_count') ?? Math.floor(hiddenSize / heads);
  const theta = metadata.number(`${architecture}.rope.freq_base`) ?? 10000;
  return {
    ...common,
    attention_bias: tensors.has('blk.0.attn_q.bias'),
    attention_dropout: 0,
    head_dim: headSize,
    hidden_act: 'silu',
    hidden_size: hiddenSize,
    intermediate_size: needed('feed_forward_length'),
    max_position_embeddings: needed('context_length'),
    mlp_bias: tensors.has('blk.0.ffn_up.bias'),
    num_attention_heads: heads,
    num_hidden_layers: needed('block_count'),
    num_key_value_heads: count('attention.head_count_kv') ?? heads,
    rms_norm_eps: decimal('attention.layer_norm_rms_epsilon'),
    rope_scaling: ropeScaling(file.path, metadata, architecture, ropeFactors, theta, headSize),
    rope_theta: shortestDecimal(theta),
  };
}

/** Throws `invalid_gguf` for a file that names no architecture, `unsupported_model` for one that Graft does not read. */
export function architectureOf({ metadata, file }: GgufFile): GgufArchitecture {
  const name = architectureName(metadata);
  const found = Object.hasOwn(ggufArchitectures, name) ? ggufArchitectures[name] : undefined;
  if (found) return found;
  const known = Object.keys(ggufArchitectures).join(', ');
  const folder = modelTypes.includes(name)
    ? "; use this model's Hugging Face folder (config.json, safetensors, tokenizer.json) instead"
    : '';
  throw new GraftError(
    'unsupported_model',
    `${file.path}: GGUF architecture "${name}" is not supported; supported: ${known}${folder}`,
    { param: 'model' },
  );
}

function architectureName(metadata: GgufMetadata): string {
  return metadata.required('general.architecture', metadata.string('general.architecture'));
}

/** The model's tensor decides: tokenizers may have more or fewer tokens than the embedding has rows. */
function vocabularySize({ tensors, metadata }: GgufFile, stated: number | undefined): number | undefined {
  return (
    tensors.get('token_embd.weight')?.shape[0] ?? stated ?? metadata.strings('tokenizer.ggml.tokens')?.length
  );
}

/** The shortest decimal that is the same float32: 1e-5, where the stored float32 reads 9.999999747378752e-6 as a double. */
function shortestDecimal(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

function ropeScaling(
  path: string,
  metadata: GgufMetadata,
  architecture: string,
  factors: Float32Array | null,
  theta: number,
  headSize: number,
): Record<string, unknown> | null {
  if (factors) return llama3Scaling(path, factors, theta, headSize);
  const key = `${architecture}.rope.scaling`;
  const type = metadata.string(`${key}.type`) ?? 'none';
  if (type === 'none') return null;
  const original = metadata.count(`${key}.original_context_length`);
  return {
    rope_type: type,
    factor: metadata.number(`${key}.factor`) ?? 1,
    ...(original === undefined ? {} : { original_max_position_embeddings: original }),
  };
}

/**
 * Llama 3's scaling from its per-frequency divisors: the config fields are not stored, but all published models use
 * low_freq_factor 1, high_freq_factor 4 and 8,192 original positions, and differ only in `factor`, which is the largest
 * divisor. What these give is compared with the file; a file made otherwise is refused.
 */
function llama3Scaling(
  path: string,
  factors: Float32Array,
  theta: number,
  headSize: number,
): Record<string, unknown> {
  const scaling = {
    rope_type: 'llama3',
    factor: Math.max(...factors),
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
  };
  const fits =
    factors.length === headSize / 2 &&
    factors.every((stored, i) => {
      const wavelength = 2 * Math.PI * theta ** ((2 * i) / headSize);
      const turns = scaling.original_max_position_embeddings / wavelength;
      const smooth = Math.min(
        1,
        Math.max(0, (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)),
      );
      const expected = 1 / ((1 - smooth) / scaling.factor + smooth);
      return Math.abs(stored - expected) <= 1e-4 * expected;
    });
  if (fits) return scaling;
  throw new GraftError(
    'unsupported_model',
    `${path}: rope_freqs.weight holds a rope scaling that is not Llama 3's; it cannot be written as config.json`,
    { param: 'model' },
  );
}
