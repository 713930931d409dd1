import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeftConfig } from '../config/index.ts';
import { architectureFor } from '../models/registry.ts';
import { checkAgainstModel } from './check.ts';
import { attach } from './registry.ts';

const llama = {
  model_type: 'llama',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 260,
  tie_word_embeddings: true,
};
const gpt2 = { model_type: 'gpt2', n_embd: 32, n_layer: 2, n_head: 4, n_positions: 64, vocab_size: 260 };
const t5 = { model_type: 't5', d_model: 32, d_kv: 8, d_ff: 64, num_layers: 2, num_heads: 4, vocab_size: 260 };

type Options = Record<string, unknown>;
const check = (options: Options, model: Options) => checkAgainstModel(parsePeftConfig(options), model);

/** Checks that a request is refused, and that the same config from a file is accepted, as in HF PEFT. */
function refused(
  what: string,
  options: Options,
  model: Options,
  fault: { code?: string; param: string; message: RegExp },
): void {
  test(`${what}: a request is refused, a file is not`, () => {
    const { param, ...expected } = fault;
    assert.throws(() => check(options, model), {
      code: 'invalid_peft_config',
      ...expected,
      param: `peft.${param}`,
    });
    const saved = parsePeftConfig(options, { saved: true });
    attach(saved, architectureFor(String(model.model_type), model, saved.task_type), 'folded');
  });
}

const lora = { peft_type: 'LORA', r: 4, target_modules: ['q_proj', 'v_proj'] };
refused(
  'one name of several that matches nothing',
  { ...lora, target_modules: ['q_proj', 'v_porj'] },
  llama,
  {
    code: 'target_modules_not_found',
    param: 'target_modules',
    message: /"v_porj" matches no module of this model; nearest: v_proj/,
  },
);
refused('the same for norms', { peft_type: 'LN_TUNING', target_modules: ['norm', 'ln_f'] }, llama, {
  code: 'target_modules_not_found',
  param: 'target_modules',
  message: /"ln_f" matches no module/,
});
refused(
  'an exclusion that matches nothing',
  { ...lora, exclude_modules: ['layers.7.self_attn.q_proj'] },
  llama,
  {
    code: 'target_modules_not_found',
    param: 'exclude_modules',
    message: /"layers\.7\.self_attn\.q_proj" matches no module/,
  },
);
refused('a name where an expression for whole paths stands', { ...lora, exclude_modules: 'q_proj' }, llama, {
  param: 'exclude_modules',
  message: /"q_proj" is a regular expression for whole paths and matches none; names go into a list/,
});
refused('a layer that is not there', { ...lora, layers_to_transform: [1, 2] }, llama, {
  param: 'layers_to_transform',
  message: /there is no layer 2; layers are 0 to 1/,
});
refused('a rank for no adapted module', { ...lora, rank_pattern: { q_proj: 2, k_proj: 2 } }, llama, {
  param: 'rank_pattern',
  message: /"k_proj" matches none of the adapted modules, which are q_proj, v_proj/,
});
refused('an alpha for no adapted module', { ...lora, alpha_pattern: { 'layers.2.*': 2 } }, llama, {
  param: 'alpha_pattern',
  message: /"layers\.2\.\*" matches none/,
});
refused('weights that are said to be transposed', { ...lora, fan_in_fan_out: true }, llama, {
  param: 'fan_in_fan_out',
  message: /stored as \(in, out\), and those of target_modules are not/,
});
refused('a rank above what a matrix has', { ...lora, r: 17 }, llama, {
  code: 'rank_too_large',
  param: 'r',
  message: /rank 17 is larger than model\.layers\.0\.self_attn\.v_proj allows: its weight is 16 × 32/,
});
refused('such a rank in a pattern', { ...lora, rank_pattern: { v_proj: 17 } }, llama, {
  code: 'rank_too_large',
  param: 'rank_pattern',
  message: /v_proj/,
});

const ia3 = { peft_type: 'IA3', target_modules: '.*(k_proj|down_proj)' };
refused(
  'inputs of modules that are not scaled',
  { ...ia3, feedforward_modules: ['down_proj', 'up_proj'] },
  llama,
  {
    param: 'feedforward_modules',
    message: /"up_proj" matches none of the modules of target_modules, which are k_proj, down_proj/,
  },
);
refused('an expression for none of them', { ...ia3, feedforward_modules: 'down_proj' }, llama, {
  param: 'feedforward_modules',
  message: /"down_proj" matches none/,
});

test('what matches something is let pass', () => {
  check(
    { ...lora, exclude_modules: '.*\\.0\\..*', rank_pattern: { '^model.layers.1.self_attn.q_proj': 2 } },
    llama,
  );
  check({ peft_type: 'LORA', r: 4, target_modules: 'all-linear', exclude_modules: ['lm_head'] }, llama);
  check({ ...ia3, feedforward_modules: [] }, llama);
  check({ peft_type: 'LORA', r: 4, fan_in_fan_out: true }, gpt2);
  // The encoder has three layers and the decoder one; both are counted from 0.
  const uneven = { ...t5, num_layers: 3, num_decoder_layers: 1 };
  const seq2seq = { ...lora, target_modules: ['q'], task_type: 'SEQ_2_SEQ_LM' };
  check({ ...seq2seq, layers_to_transform: 2 }, uneven);
  assert.throws(() => check({ ...seq2seq, layers_to_transform: 3 }, uneven), /layers are 0 to 2/);
});
