/** Random models of every family that llama.cpp runs, and random adapters of them: what exported files are checked with. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePeftConfig } from '@graft/peft-core/config';
import { writeSafetensors } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { Random } from '../../packages/peft-core/src/random.ts';
import { writeByteModel } from '../../packages/peft-core/src/testing/tiny-model.ts';
import { methodOf } from '../../packages/peft-core/src/tuners/methods.ts';

const decoder = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  vocab_size: 260,
  bos_token_id: 256,
  eos_token_id: 257,
  pad_token_id: 258,
  tie_word_embeddings: true,
};
const gemma4 = {
  model_type: 'gemma4_text',
  head_dim: 24,
  global_head_dim: 32,
  sliding_window: 20,
  vocab_size_per_layer_input: 260,
  final_logit_softcapping: 8.5,
};
const gptOss = {
  ...decoder,
  model_type: 'gpt_oss',
  tie_word_embeddings: false,
  num_hidden_layers: 4,
  head_dim: 16,
  sliding_window: 20,
  num_local_experts: 4,
  num_experts_per_tok: 2,
  attention_bias: true,
};
const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 64 };

const phi3 = {
  ...decoder,
  model_type: 'phi3',
  tie_word_embeddings: false,
  partial_rotary_factor: 0.75,
  max_position_embeddings: 512,
  // llama.cpp's smallest context.
  original_max_position_embeddings: 256,
  rope_scaling: {
    type: 'longrope',
    short_factor: [1, 1.1, 1.2, 1.3, 1.4, 1.5],
    long_factor: [1, 2, 3, 4, 5, 6],
  },
};

/** config.json by name: what llama.cpp computes of each family. */
export const randomModels: Record<string, Record<string, unknown> & { model_type: string }> = {
  'llama, with biases': {
    ...decoder,
    model_type: 'llama',
    tie_word_embeddings: false,
    attention_bias: true,
    mlp_bias: true,
  },
  'llama, with scaled positions': {
    ...decoder,
    model_type: 'llama',
    rope_theta: 500_000,
    rope_scaling: {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    },
  },
  mistral: { ...decoder, model_type: 'mistral', sliding_window: null },
  ministral3: {
    ...decoder,
    model_type: 'ministral3',
    head_dim: 16,
    rope_parameters: {
      rope_type: 'yarn',
      rope_theta: 1e6,
      factor: 16,
      original_max_position_embeddings: 16,
      llama_4_scaling_beta: 0.1,
    },
  },
  qwen2: { ...decoder, model_type: 'qwen2', rope_scaling: yarn },
  qwen3: { ...decoder, model_type: 'qwen3', head_dim: 24 },
  qwen3_moe: {
    ...decoder,
    model_type: 'qwen3_moe',
    head_dim: 16,
    num_experts: 4,
    num_experts_per_tok: 2,
    moe_intermediate_size: 64,
    norm_topk_prob: true,
  },
  gpt_oss: {
    ...gptOss,
    rope_parameters: {
      ...yarn,
      // Makes the bounds of yarn 0 and 2, so that llama.cpp rounds nothing.
      rope_theta: (64 / (2 * Math.PI)) ** 4,
      truncate: false,
    },
  },
  'gpt_oss, with a tied head, without windows': {
    ...gptOss,
    tie_word_embeddings: true,
    sliding_window: null,
    rope_parameters: { rope_type: 'default', rope_theta: 10_000 },
  },
  gemma3_text: {
    ...decoder,
    model_type: 'gemma3_text',
    num_hidden_layers: 7,
    head_dim: 24,
    query_pre_attn_scalar: 24,
    sliding_window: 20,
    rope_scaling: { rope_type: 'linear', factor: 8 },
  },
  gemma4_text: {
    ...decoder,
    ...gemma4,
    num_hidden_layers: 8,
    layer_types: Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? 'sliding_attention' : 'full_attention')),
    num_kv_shared_layers: 4,
    use_double_wide_mlp: true,
    hidden_size_per_layer_input: 32,
  },
  'gemma4, the text part, keys that are values': {
    model_type: 'gemma4',
    text_config: {
      ...decoder,
      ...gemma4,
      num_hidden_layers: 6,
      attention_k_eq_v: true,
      num_global_key_value_heads: 1,
      hidden_size_per_layer_input: 0,
    },
  },
  phi3,
  'phi3, in long texts': phi3,
  smollm3: { ...decoder, model_type: 'smollm3', num_hidden_layers: 5 },
  granite: {
    ...decoder,
    model_type: 'granite',
    embedding_multiplier: 12,
    attention_multiplier: 0.2,
    residual_multiplier: 0.22,
    logits_scaling: 0.5,
  },
  'olmo2, with a tied head': { ...decoder, model_type: 'olmo2' },
  olmo3: {
    ...decoder,
    model_type: 'olmo3',
    num_hidden_layers: 5,
    sliding_window: 20,
    tie_word_embeddings: false,
    rope_theta: 500_000,
    rope_scaling: { ...yarn, attention_factor: 1.2 },
  },
  'gemma3, the text part': {
    model_type: 'gemma3',
    text_config: {
      ...decoder,
      model_type: 'gemma3_text',
      head_dim: 24,
      query_pre_attn_scalar: 24,
      sliding_window: 20,
    },
  },
  gpt2: {
    model_type: 'gpt2',
    vocab_size: 260,
    n_embd: 64,
    n_inner: 96,
    n_layer: 2,
    n_head: 4,
    n_positions: 256,
    bos_token_id: 256,
    eos_token_id: 257,
  },
};

/** Sequences of tokens that are longer than the windows and the original lengths of a model. */
export function probesOf(name: string): number[][] {
  const sequence = (length: number, step: number) => Array.from({ length }, (_, i) => (i * step + 3) % 250);
  return name.endsWith('long texts') ? [sequence(270, 37)] : [sequence(70, 37), sequence(40, 51)];
}

/** Writes a model with normal weights as a Hugging Face folder with a tokenizer of bytes. */
export async function writeRandomModel(
  folder: string,
  config: Record<string, unknown> & { model_type: string },
): Promise<void> {
  await writeByteModel(folder, config, ({ name, shape }, part) => {
    const random = new Random(1, 'test', part);
    const around =
      (/norm|ln_/.test(name) && name.endsWith('.weight')) || name.endsWith('layer_scalar') ? 1 : 0;
    const deviation = shape.length > 1 ? 0.15 : 0.05;
    const length = shape.reduce((product, size) => product * size, 1);
    return { name, shape, data: Float32Array.from({ length }, () => around + deviation * random.normal()) };
  });
}

/** Writes an adapter whose tensors are all normal, with this deviation; 0: it changes nothing. */
export async function writeRandomAdapter(
  folder: string,
  {
    config,
    peft,
    deviation,
  }: { config: Record<string, unknown>; peft: Record<string, unknown>; deviation: number },
): Promise<void> {
  const parsed = parsePeftConfig({ task_type: 'CAUSAL_LM', ...peft });
  const tensors = methodOf(parsed).fileTensors!(parsed, outlineOf(config, 'CAUSAL_LM'));
  await mkdir(folder, { recursive: true });
  await writeSafetensors(
    join(folder, 'adapter_model.safetensors'),
    tensors.map(({ key, shape }, part) => {
      const random = new Random(2, 'test', part);
      const length = shape.reduce((product, size) => product * size, 1);
      return { name: key, shape, data: Float32Array.from({ length }, () => deviation * random.normal()) };
    }),
  );
  await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(parsed));
}

/** LoRA of all linear layers, and of experts, with ranks, alphas and scales that differ. */
export function adapterOf({ model_type }: { model_type: string }): Record<string, unknown> {
  const matrices = ['mlp.experts.gate_up_proj', 'mlp.experts.down_proj'];
  const experts = { qwen3_moe: matrices, gpt_oss: [...matrices, 'mlp.router.weight'] }[model_type];
  const output = model_type === 'gpt2' ? 'c_proj' : 'o_proj';
  return {
    peft_type: 'LORA',
    r: 4,
    lora_alpha: 8,
    use_rslora: true,
    rank_pattern: { [output]: 6 },
    alpha_pattern: { [output]: 3 },
    target_modules: 'all-linear',
    ...(experts && { target_parameters: experts }),
    // llama.cpp ignores an update of it.
    ...(model_type === 'gemma4_text' && { exclude_modules: ['per_layer_model_projection'] }),
  };
}
