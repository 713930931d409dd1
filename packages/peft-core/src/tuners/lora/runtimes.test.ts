import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeftConfig } from '../../config/peft-config.ts';
import { runtimesFor } from '../methods.ts';

const lora = { peft_type: 'LORA', target_modules: ['q_proj', 'v_proj'] };
const others = (options: object) => {
  const [graft, library, ...rest] = runtimesFor(parsePeftConfig({ ...lora, ...options }));
  assert.deepEqual([graft, library], ['Graft', 'HF PEFT']);
  return rest;
};

test('plain LoRA of a decoder is what other runtimes serve', () => {
  assert.deepEqual(others({}), ['vLLM', 'SGLang', 'TGI', 'llama.cpp (converted)']);
  assert.deepEqual(others({ rank_pattern: { q_proj: 8 }, alpha_pattern: { v_proj: 8 } }), [
    'vLLM',
    'SGLang',
    'TGI',
  ]);
});

test('what no other runtime reads leaves HF PEFT alone', () => {
  for (const options of [
    { use_dora: true },
    { lora_bias: true },
    { bias: 'all' },
    { bias: 'lora_only' },
    { modules_to_save: ['lm_head'] },
    { trainable_token_indices: [1] },
    { target_parameters: ['experts.gate_up_proj'] },
    { target_modules: ['q_proj', 'embed_tokens'] },
    { target_modules: ['model.lm_head'] },
    { fan_in_fan_out: true },
    { task_type: 'SEQ_CLS' },
    { task_type: 'TOKEN_CLS' },
    { task_type: 'SEQ_2_SEQ_LM' },
    { task_type: 'FEATURE_EXTRACTION' },
  ])
    assert.deepEqual(others(options), [], JSON.stringify(options));
});

test('what scales modules differently is left out where it would be scaled wrongly', () => {
  assert.deepEqual(others({ use_rslora: true }), ['vLLM', 'TGI']);
  assert.deepEqual(others({ rank_pattern: { q_proj: 4 } }), ['llama.cpp (converted)']);
  assert.deepEqual(others({ alpha_pattern: { q_proj: 4 } }), []);
  assert.deepEqual(others({ alora_invocation_tokens: [5, 6] }), ['llama.cpp (converted)']);
  assert.deepEqual(others({ layers_to_transform: [1] }), ['vLLM', 'SGLang', 'llama.cpp (converted)']);
  assert.deepEqual(others({ target_modules: '.*q_proj' }), ['vLLM', 'TGI', 'llama.cpp (converted)']);
});

test('other methods are read by their own library, selective tuning by Graft', () => {
  const of = (options: object) => runtimesFor(parsePeftConfig(options));
  assert.deepEqual(of({ peft_type: 'IA3' }), ['Graft', 'HF PEFT']);
  assert.deepEqual(of({ peft_type: 'PREFIX_TUNING' }), ['Graft', 'HF PEFT']);
  assert.deepEqual(of({ peft_type: 'BOTTLENECK' }), ['Graft', 'adapters']);
  assert.deepEqual(of({ peft_type: 'SELECTIVE', kinds: ['norm'] }), ['Graft']);
});
