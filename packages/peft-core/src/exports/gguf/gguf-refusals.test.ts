import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePeftConfig } from '../../config/index.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { tinyConfig } from '../../testing/tiny-model.ts';
import type { ExportedAdapter } from '../export-format.ts';
import { exportFormat } from '../formats.ts';

const decoder = (more: Record<string, unknown>) => ({ ...tinyConfig, ...more });
const lora = (more: Record<string, unknown> = {}) => ({
  peft_type: 'LORA',
  target_modules: ['q_proj'],
  ...more,
});

/** The refusal of an adapter; null if it can be exported. */
function refusalOf(
  format: string,
  modelConfig: Record<string, unknown>,
  peft: Record<string, unknown>,
  given: Record<string, unknown> = {},
) {
  const { refusal, options } = exportFormat(format);
  const defaults = Object.entries(options.properties).map(([name, schema]) => [
    name,
    (schema as { default?: unknown }).default,
  ]);
  const adapter: ExportedAdapter = {
    config: parsePeftConfig({ task_type: 'CAUSAL_LM', ...peft }),
    modelConfig,
    tensors: { names: () => [], has: () => false, info: () => ({ dtype: 'F32', shape: [] }) },
    chatTemplate: null,
    adapterBytes: 0,
    smallFileBytes: 0,
  };
  return refusal(adapter, { ...Object.fromEntries(defaults), ...given });
}

test('MXFP4 of a model without experts', () => {
  const refusal = refusalOf('gguf', tinyConfig, lora(), { dtype: 'mxfp4_moe' });
  assert.equal(refusal?.param, 'options.dtype');
  assert.match(refusal!.message, /this model has none; choose q8_0$/);
  const experts = decoder({ ...tinyFamilies.gpt_oss });
  assert.equal(refusalOf('gguf', experts, lora(), { dtype: 'mxfp4_moe' }), null);
});

describe('models that llama.cpp does not compute', () => {
  const refused: Record<string, [Record<string, unknown>, RegExp, Record<string, unknown>?]> = {
    'another family': [
      decoder({ ...tinyFamilies.bert }),
      /language models, not of SEQ_CLS/,
      { task_type: 'SEQ_CLS', target_modules: ['query'] },
    ],
    'recurrent layers': [
      decoder({ ...tinyFamilies.qwen3_5_text, head_dim: 8 }),
      /no GGUF files of qwen3_5_text/,
    ],
    'an activation': [decoder({ hidden_act: 'gelu' }), /no activation gelu in models of this kind, but silu/],
    'biases of the output': [
      decoder({ model_type: 'qwen3', attention_bias: true }),
      /no bias model\.layers\.0\.self_attn\.o_proj\.bias/,
    ],
    'heads that do not fill the width': [
      decoder({ model_type: 'qwen2', head_dim: 16 }),
      /heads of 16 values/,
    ],
    'another order of rotated layers': [
      decoder({ model_type: 'smollm3', no_rope_layers: [0, 1] }),
      /no rotation of other layers than all but every 4th/,
    ],
    'a rotation of a part of interleaved heads': [
      decoder({ rope_parameters: { rope_theta: 10_000, partial_rotary_factor: 0.5 } }),
      /no rotation of 4 of a head's 8 values in models of this kind/,
    ],
    'dense layers among experts': [
      decoder({ ...tinyFamilies.qwen3_moe }),
      /no layer without experts, as 0 is/,
    ],
    'a router without normalised weights': [
      decoder({ ...tinyFamilies.qwen3_moe, mlp_only_layers: [], norm_topk_prob: false }),
      /norm_topk_prob false/,
    ],
    'experts with another gate': [
      decoder({ ...tinyFamilies.gpt_oss, swiglu_limit: 5 }),
      /no gate of experts with swiglu_alpha 1\.702 and swiglu_limit 5, but 1\.702 and 7/,
    ],
    'attention without the biases that it reads': [
      decoder({ ...tinyFamilies.gpt_oss, attention_bias: false }),
      /no attention without biases/,
    ],
    'windows in other layers than every second': [
      decoder({ ...tinyFamilies.gpt_oss, layer_types: ['full_attention', 'sliding_attention'] }),
      /no attention windows in other layers than all but every second/,
    ],
    'bounds of yarn that are not rounded': [
      decoder({ rope_scaling: { rope_type: 'yarn', factor: 4, truncate: false } }),
      /no yarn scaling with truncate false/,
    ],
    'windows in some layers': [
      decoder({
        model_type: 'gemma3_text',
        query_pre_attn_scalar: 8,
        num_hidden_layers: 3,
        layer_types: ['full_attention', 'sliding_attention', 'sliding_attention'],
      }),
      /attention windows in other layers/,
    ],
    'another factor of scores': [
      decoder({ model_type: 'gemma3_text', query_pre_attn_scalar: 64 }),
      /query_pre_attn_scalar 64 .* but 8/,
    ],
    'keys and values of layers that are not the last two': [
      decoder({
        ...tinyFamilies.gemma4_text,
        layer_types: ['full_attention', 'sliding_attention', 'sliding_attention', 'full_attention'],
      }),
      /no shared keys and values of other layers than the last two/,
    ],
    'yarn with other betas': [
      decoder({ rope_scaling: { rope_type: 'yarn', factor: 4, beta_fast: 16 } }),
      /other beta_fast and beta_slow than 32 and 1/,
    ],
  };
  for (const [name, [config, message, peft]] of Object.entries(refused))
    test(name, () => {
      for (const format of ['gguf', 'gguf-lora']) {
        const refusal = refusalOf(format, config, lora(peft));
        assert.match(refusal?.message ?? 'not refused', message);
        assert.match(refusal!.message, /export it as merged$/);
      }
    });
});

describe('adapters that GGUF adapters do not hold', () => {
  const refused: Record<string, [Record<string, unknown>, RegExp]> = {
    magnitudes: [lora({ use_dora: true }), /this one has magnitudes \(use_dora\)/],
    'biases of updates': [lora({ lora_bias: true }), /biases of updates/],
    'modules trained in full': [
      lora({ modules_to_save: ['norm'] }),
      /modules trained in full \(.*model\.norm\)/,
    ],
    'rows of tokens': [lora({ trainable_token_indices: [1] }), /rows of tokens/],
    'a tied head': [
      lora({ target_modules: ['lm_head'] }),
      /lm_head shares its weights with model\.embed_tokens/,
    ],
    'a tied embedding': [
      lora({ target_modules: ['embed_tokens'] }),
      /model\.embed_tokens shares its weights with lm_head/,
    ],
    'another method': [
      { peft_type: 'IA3', target_modules: ['k_proj'], feedforward_modules: [] },
      /IA3: GGUF adapters hold low-rank updates only/,
    ],
    'soft prompts': [
      { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 4 },
      /PROMPT_TUNING: GGUF adapters hold/,
    ],
  };
  for (const [name, [peft, message]] of Object.entries(refused))
    test(name, () => {
      const refusal = refusalOf('gguf-lora', tinyConfig, peft);
      assert.match(refusal?.message ?? 'not refused', message);
      assert.match(refusal!.message, /; export gguf, /);
    });

  test('a projection of which llama.cpp ignores updates', () => {
    const model = decoder({ ...tinyFamilies.gemma4_text });
    for (const [module, message] of [
      ['per_layer_model_projection', /updates no weights of model\.per_layer_model_projection; export gguf,/],
      ['embed_tokens_per_layer', /updates no weights of model\.embed_tokens_per_layer; export gguf,/],
    ] as const)
      assert.match(refusalOf('gguf-lora', model, lora({ target_modules: [module] }))!.message, message);
    assert.equal(refusalOf('gguf-lora', model, lora({ target_modules: ['per_layer_input_gate'] })), null);
  });

  test('soft prompts are not merged either', () =>
    assert.match(
      refusalOf('gguf', tinyConfig, { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 4 })!.message,
      /cannot be merged/,
    ));

  test('head and embedding of a model in which they are apart', () => {
    const untied = decoder({ tie_word_embeddings: false });
    for (const module of ['lm_head', 'embed_tokens', 'down_proj'])
      assert.equal(refusalOf('gguf-lora', untied, lora({ target_modules: [module] })), null);
  });
});
