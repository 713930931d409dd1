/** Variants of every architecture that the matrix has no row for: Graft's scores are transformers'. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openGenerator } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { gemma4Variants } from './fixtures/gemma4-variants.ts';
import { graftOutputs, largestDifference } from './fixtures/graft-outputs.ts';
import { multimodal } from './fixtures/multimodal.ts';
import { decoder, recurrentVariants, type Variant } from './fixtures/recurrent-variants.ts';
import { scoreInPython } from './fixtures/score-in-python.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';
import type { Probe } from './matrix/probes.ts';

const gpt2 = { model_type: 'gpt2', n_embd: 64, n_layer: 3, n_head: 4, eos_token_id: 2, pad_token_id: 3 };
const t5 = {
  model_type: 't5',
  d_model: 64,
  d_kv: 16,
  d_ff: 96,
  num_layers: 3,
  num_heads: 4,
  pad_token_id: 3,
  eos_token_id: 2,
  decoder_start_token_id: 3,
};
/** With other frequencies for texts of more than `original` tokens. */
function phi3(original: number): Record<string, unknown> {
  const factors = (first: number) => Array.from({ length: 6 }, (_, i) => first + i / 2);
  return {
    ...decoder,
    model_type: 'phi3',
    max_position_embeddings: 16 * original,
    original_max_position_embeddings: original,
    rope_parameters: {
      rope_type: 'longrope',
      rope_theta: 10000,
      partial_rotary_factor: 0.75,
      short_factor: factors(1),
      long_factor: factors(3),
    },
  };
}
// Probes of 150 tokens are longer than these windows.
const windowed = { use_sliding_window: true, sliding_window: 20 };

/** Sizes of gated DeltaNet layers. */

const variants: Record<string, Variant> = {
  'llama, linear rope scaling': {
    config: {
      ...decoder,
      model_type: 'llama',
      rope_parameters: { rope_type: 'linear', rope_theta: 10000, factor: 4 },
    },
  },
  'mistral, tied': {
    config: { ...decoder, model_type: 'mistral', sliding_window: 20, tie_word_embeddings: true },
  },
  'mistral without a window': {
    config: { ...decoder, model_type: 'mistral', sliding_window: null, head_dim: 24 },
  },
  'qwen2, untied': { config: { ...decoder, model_type: 'qwen2', num_key_value_heads: 4 } },
  'qwen2, window unused': {
    config: { ...decoder, model_type: 'qwen2', sliding_window: 20, max_window_layers: 0 },
  },
  'qwen2, windows by layer types': {
    config: {
      ...decoder,
      ...windowed,
      model_type: 'qwen2',
      layer_types: ['sliding_attention', 'full_attention', 'sliding_attention'],
    },
  },
  'qwen3, untied, biased, windowed': {
    config: {
      ...decoder,
      ...windowed,
      model_type: 'qwen3',
      head_dim: 32,
      attention_bias: true,
      max_window_layers: 2,
    },
  },
  'ministral3, past its first span': {
    config: {
      ...decoder,
      model_type: 'ministral3',
      head_dim: 24,
      max_position_embeddings: 320,
      rope_parameters: {
        rope_type: 'yarn',
        rope_theta: 10000,
        factor: 8,
        original_max_position_embeddings: 40,
        beta_fast: 4,
        beta_slow: 1,
        mscale: 1,
        mscale_all_dim: 1,
        llama_4_scaling_beta: 0.1,
      },
    },
  },
  'ministral3 by default, tied, windowed': {
    config: { ...decoder, model_type: 'ministral3', tie_word_embeddings: true, sliding_window: 20 },
  },
  'llama, yarn, its factor from the lengths': {
    config: {
      ...decoder,
      model_type: 'llama',
      max_position_embeddings: 320,
      rope_parameters: {
        rope_type: 'yarn',
        rope_theta: 10000,
        original_max_position_embeddings: 40,
        factor: 8,
      },
    },
  },
  'llama, yarn, given factors': {
    config: {
      ...decoder,
      model_type: 'llama',
      rope_parameters: {
        rope_type: 'yarn',
        rope_theta: 10000,
        original_max_position_embeddings: 40,
        factor: 4,
        mscale: 0.7,
        mscale_all_dim: 0.9,
        truncate: false,
      },
    },
  },
  'gemma3_text, windows in five layers of six': {
    config: { ...decoder, model_type: 'gemma3_text', num_hidden_layers: 7, head_dim: 24, sliding_window: 20 },
  },
  'gemma3_text, scaled, biased, untied': {
    config: {
      ...decoder,
      model_type: 'gemma3_text',
      head_dim: 32,
      query_pre_attn_scalar: 20,
      attention_bias: true,
      tie_word_embeddings: false,
      sliding_window: 20,
      layer_types: ['full_attention', 'sliding_attention', 'full_attention'],
      rope_parameters: {
        full_attention: { rope_type: 'linear', rope_theta: 50000, factor: 8 },
        sliding_attention: { rope_type: 'default', rope_theta: 500 },
      },
    },
  },
  'gemma3, the text part': {
    config: multimodal({ model_type: 'gemma3' }, { head_dim: 24, sliding_window: 20 }),
  },
  'mistral3, the text part': {
    config: multimodal({ model_type: 'mistral3' }, { model_type: 'ministral3', head_dim: 24 }),
  },
  'phi3, a part of each head, tied, windowed': {
    config: {
      ...decoder,
      model_type: 'phi3',
      tie_word_embeddings: true,
      sliding_window: 20,
      rope_parameters: { rope_type: 'default', rope_theta: 5000, partial_rotary_factor: 0.75 },
    },
  },
  'phi3, a text of the first length': { config: phi3(256) },
  'phi3, longer texts': { config: phi3(40) },
  // The prompt has 10 tokens.
  'phi3, an answer that becomes long': { config: phi3(12) },
  'smollm3, layers without rotation': { config: { ...decoder, model_type: 'smollm3', num_hidden_layers: 5 } },
  'smollm3, listed, windowed, biased, untied': {
    config: {
      ...decoder,
      ...windowed,
      model_type: 'smollm3',
      no_rope_layers: [0, 1, 0],
      attention_bias: true,
      mlp_bias: true,
      tie_word_embeddings: false,
    },
  },
  'granite, every factor': {
    config: {
      ...decoder,
      model_type: 'granite',
      embedding_multiplier: 5,
      attention_multiplier: 0.1,
      residual_multiplier: 0.3,
      logits_scaling: 4,
      tie_word_embeddings: true,
    },
  },
  'granite, biased, untied': {
    config: { ...decoder, model_type: 'granite', attention_bias: true, mlp_bias: true },
  },
  'olmo2, many heads, biased': {
    config: { ...decoder, model_type: 'olmo2', num_key_value_heads: 4, attention_bias: true },
  },
  'olmo2, few key heads, tied': { config: { ...decoder, model_type: 'olmo2', tie_word_embeddings: true } },
  'olmo3, windows in three layers of four': {
    config: { ...decoder, model_type: 'olmo3', num_hidden_layers: 5, sliding_window: 20 },
  },
  'olmo3, yarn in layers without a window': {
    config: {
      ...decoder,
      model_type: 'olmo3',
      sliding_window: 20,
      layer_types: ['full_attention', 'sliding_attention', 'full_attention'],
      rope_parameters: {
        full_attention: {
          rope_type: 'yarn',
          rope_theta: 10000,
          factor: 8,
          original_max_position_embeddings: 40,
          attention_factor: 1.2,
          beta_fast: 32,
          beta_slow: 1,
        },
        sliding_attention: { rope_type: 'default', rope_theta: 10000 },
      },
    },
  },
  'qwen3_moe, experts in every second layer, weights as they are': {
    config: {
      ...decoder,
      model_type: 'qwen3_moe',
      head_dim: 32,
      num_experts: 6,
      num_experts_per_tok: 3,
      moe_intermediate_size: 40,
      decoder_sparse_step: 2,
    },
  },
  'qwen3_moe, experts but in the first layer, weights of sum 1': {
    config: {
      ...decoder,
      model_type: 'qwen3_moe',
      head_dim: 16,
      num_experts: 8,
      num_experts_per_tok: 2,
      moe_intermediate_size: 24,
      mlp_only_layers: [0],
      norm_topk_prob: true,
    },
  },
  'gpt_oss by default, more values clamped': {
    config: {
      ...decoder,
      model_type: 'gpt_oss',
      num_local_experts: 6,
      num_experts_per_tok: 3,
      intermediate_size: 40,
      sliding_window: 20,
      swiglu_limit: 0.75,
      swiglu_alpha: 1.25,
    },
  },
  'gpt_oss, its experts in MXFP4': {
    config: {
      ...decoder,
      model_type: 'gpt_oss',
      num_local_experts: 4,
      num_experts_per_tok: 2,
      intermediate_size: 96,
      sliding_window: 20,
    },
    packed: true,
  },
  'gpt_oss, tied, without biases of attention, every layer full': {
    config: {
      ...decoder,
      model_type: 'gpt_oss',
      head_dim: 32,
      num_local_experts: 4,
      num_experts_per_tok: 1,
      intermediate_size: 24,
      attention_bias: false,
      tie_word_embeddings: true,
      layer_types: ['full_attention', 'full_attention', 'full_attention'],
      rope_parameters: { rope_type: 'default', rope_theta: 10000 },
    },
  },
  'gpt2, untied': { config: { ...gpt2, tie_word_embeddings: false, n_inner: 80 } },
  'gpt2, exact GELU, scores scaled by layer': {
    config: { ...gpt2, activation_function: 'gelu', scale_attn_by_inverse_layer_idx: true },
  },
  'gpt2, unscaled scores': { config: { ...gpt2, activation_function: 'relu', scale_attn_weights: false } },
  'gpt2, names without a prefix': { bare: true, config: gpt2 },
  't5 as it was, a shorter decoder': { config: { ...t5, num_decoder_layers: 2, d_kv: 20 } },
  't5, far positions in few buckets': {
    config: { ...t5, relative_attention_num_buckets: 8, relative_attention_max_distance: 24 },
  },
  't5 1.1, a separate head, unscaled': {
    config: { ...t5, feed_forward_proj: 'gated-gelu', tie_word_embeddings: false },
  },
  't5 1.1, a gate and a tied, scaled head': { config: { ...t5, feed_forward_proj: 'gated-silu' } },
  ...gemma4Variants,
  ...recurrentVariants,
};

const folder = scratchFolder('models');
const names = Object.keys(variants);
const modelOf = (name: string) => join(folder, name.replaceAll(/\W+/g, '-'));
const prompt = 'The tree bears new fruit:';
const endOfText = 2;
const probes: number[][] = [Array.from({ length: 150 }, (_, i) => 4 + ((i * 37) % 300))];

const taskOf = (name: string) => (name.startsWith('t5') ? 'SEQ_2_SEQ_LM' : 'CAUSAL_LM');
const inputsFor = (name: string): Probe[] =>
  taskOf(name) === 'CAUSAL_LM'
    ? probes
    : probes.map((ids) => ({ input_ids: ids, labels: [...ids].reverse().slice(2) }));

await runPythonJson('matrix_models.py', [], {
  models: names.map((name, i) => ({
    output: modelOf(name),
    task: variants[name]!.bare ? 'FEATURE_EXTRACTION' : taskOf(name),
    config: variants[name]!.config,
    packed: variants[name]!.packed ?? false,
    seed: 50 + i,
  })),
  adapters: [],
});
const { tokenizerFiles, close } = await openBaseModel(modelOf('llama, linear rope scaling'));
await close();
// The first is answered too.
probes.unshift(loadTokenizer(tokenizerFiles).encode(prompt));
for (const name of names.filter((each) => variants[each]!.bare)) {
  const file = join(modelOf(name), 'config.json');
  const config = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...config, architectures: ['GPT2LMHeadModel'] }));
}
const scored = await scoreInPython(
  names.map((name) => ({ model: modelOf(name), adapter: null, task: taskOf(name), inputs: inputsFor(name) })),
);

for (const [i, name] of names.entries()) {
  test(`${name}: scores as transformers does`, async () => {
    const difference = largestDifference(
      scored[i]!.logprobs,
      await graftOutputs(modelOf(name), null, inputsFor(name)),
    );
    assert.ok(difference < 1e-4, `log-probabilities differ by ${difference}`);
  });
}

for (const [i, name] of names.entries()) {
  test(`${name}: answers as transformers does`, async () => {
    const base = await openBaseModel(modelOf(name));
    const generator = await openGenerator({ base, context: 64 });
    const ids: number[] = [];
    for await (const { tokenId } of generator.generate({ prompt, max_tokens: 8 })) ids.push(tokenId);
    await generator.close();
    await base.close();
    const expected = scored[i]!.greedy.filter((id) => id !== endOfText);
    assert.deepEqual(
      ids.filter((id) => id !== -1),
      expected,
    );
  });
}
