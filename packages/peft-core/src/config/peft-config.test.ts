import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '../errors.ts';
import { type PeftConfig, publishedPeft } from '../tuners/methods.ts';
import { parsePeftConfig } from './peft-config.ts';

function failure(value: unknown): GraftError {
  try {
    parsePeftConfig(value);
  } catch (error) {
    assert.ok(error instanceof GraftError);
    return error;
  }
  assert.fail('was accepted');
}

test("an empty LORA config takes PEFT's defaults", () => {
  assert.deepEqual(parsePeftConfig({ peft_type: 'LORA' }), {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    r: 8,
    lora_alpha: 8,
    lora_dropout: 0,
    target_modules: null,
    target_parameters: null,
    exclude_modules: null,
    bias: 'none',
    use_rslora: false,
    use_dora: false,
    lora_bias: false,
    layers_to_transform: null,
    layers_pattern: null,
    rank_pattern: {},
    alpha_pattern: {},
    modules_to_save: null,
    trainable_token_indices: null,
    init_lora_weights: true,
    eva_config: null,
    alora_invocation_tokens: null,
    fan_in_fan_out: false,
  });
});

test('every implemented option is kept', () => {
  const given = {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    r: 16,
    lora_alpha: 32,
    lora_dropout: 0.05,
    target_modules: ['q_proj', 'v_proj'],
    target_parameters: null,
    exclude_modules: 'model\\.layers\\.0\\..*',
    bias: 'lora_only',
    use_rslora: true,
    use_dora: true,
    lora_bias: false,
    layers_to_transform: [0, 2],
    layers_pattern: 'layers',
    rank_pattern: { 'layers.2.self_attn.q_proj': 4 },
    alpha_pattern: { '^model.layers.0.self_attn.v_proj': 8 },
    modules_to_save: ['lm_head'],
    trainable_token_indices: { embed_tokens: [5, 3] },
    eva_config: null,
    alora_invocation_tokens: null,
    init_lora_weights: 'gaussian',
    fan_in_fan_out: false,
  };
  assert.deepEqual(parsePeftConfig(given), given);
});

test('an unimplemented option is refused by name, but accepted at the default of PEFT', () => {
  const error = failure({ peft_type: 'LORA', use_qalora: true });
  assert.equal(error.code, 'unimplemented_peft_option');
  assert.equal(error.param, 'peft.use_qalora');
  assert.equal(failure({ peft_type: 'LORA', init_lora_weights: 'corda' }).code, 'unimplemented_peft_option');
  assert.equal(failure({ peft_type: 'LORA', task_type: 'QUESTION_ANS' }).code, 'unimplemented_peft_option');
  parsePeftConfig({ peft_type: 'LORA', use_qalora: false, loftq_config: {}, megatron_core: 'megatron.core' });
});

test('an unknown option names the nearest known one', () => {
  const error = failure({ peft_type: 'LORA', lora_alhpa: 16 });
  assert.equal(error.code, 'unknown_peft_option');
  assert.match(error.message, /did you mean lora_alpha\?/);
  assert.equal(failure(JSON.parse('{"peft_type":"LORA","__proto__":1}')).code, 'unknown_peft_option');
  assert.equal(failure({ peft_type: 'LORA', constructor: 1 }).code, 'unknown_peft_option');
});

test('methods: unimplemented, unknown, missing', () => {
  assert.equal(failure({ peft_type: 'RANDLORA' }).code, 'unimplemented_peft_type');
  assert.equal(failure({ peft_type: 'ADALORA' }).code, 'unimplemented_peft_type');
  assert.match(failure({ peft_type: 'LORRA' }).message, /did you mean "LORA"/);
  assert.equal(failure({ r: 8 }).param, 'peft.peft_type');
  assert.equal(failure(null).code, 'invalid_peft_config');
  assert.equal(failure(['LORA']).code, 'invalid_peft_config');
});

test('all faults are reported together', () => {
  const error = failure({
    peft_type: 'LORA',
    r: 0,
    lora_dropout: 1,
    target_modules: 5,
    bias: 'some',
    use_qalora: true,
    rr: 1,
  });
  assert.deepEqual(
    error.details?.map((detail) => detail.path),
    ['peft.use_qalora', 'peft.rr', 'peft.r', 'peft.lora_dropout', 'peft.target_modules', 'peft.bias'],
  );
  assert.match(error.message, /peft\.r: must be an integer from 1 to 4096, got 0/);
});

test('options of LORA that exclude each other', () => {
  const param = (options: object) => failure({ peft_type: 'LORA', ...options }).param;
  assert.equal(param({ use_dora: true, lora_bias: true }), 'peft.lora_bias');
  assert.equal(param({ lora_bias: true, init_lora_weights: 'gaussian' }), 'peft.lora_bias');
  assert.equal(param({ init_lora_weights: 'orthogonal', r: 3 }), 'peft.r');
  assert.equal(param({ init_lora_weights: 'pissa', lora_dropout: 0.1 }), 'peft.lora_dropout');
  assert.equal(param({ init_lora_weights: 'pissa_niter_16', use_dora: true }), 'peft.use_dora');
  assert.equal(param({ init_lora_weights: 'olora', r: 4096 }), 'peft.r');
  assert.equal(param({ init_lora_weights: 'loftq', use_dora: true }), 'peft.use_dora');
  assert.equal(param({ init_lora_weights: 'loftq', lora_bias: true }), 'peft.lora_bias');
  const eva = { init_lora_weights: 'eva', eva_config: { rho: 1 } };
  assert.equal(param({ ...eva, use_dora: true }), 'peft.use_dora');
  assert.equal(param({ ...eva, lora_bias: true }), 'peft.lora_bias');
  assert.equal(param({ ...eva, task_type: 'SEQ_CLS' }), 'peft.task_type');
  assert.equal(param({ ...eva, alora_invocation_tokens: [1] }), 'peft.init_lora_weights');
  assert.equal(param({ eva_config: { rho: 1 } }), 'peft.eva_config');
  assert.equal(param({ init_lora_weights: 'pissa_niter_x' }), 'peft.init_lora_weights');
  assert.equal(param({ init_lora_weights: 'orthogonal', rank_pattern: { q: 3 } }), 'peft.rank_pattern');
  for (const trainable_token_indices of [[], [1, 1], [-1], {}, { embed_tokens: [] }])
    assert.equal(param({ trainable_token_indices }), 'peft.trainable_token_indices');
});

test("the rules between fields are PEFT's", () => {
  const list = { peft_type: 'LORA', target_modules: ['q_proj'] };
  assert.match(failure({ ...list, layers_pattern: 'layers' }).message, /needs layers_to_transform/);
  assert.match(
    failure({ ...list, target_modules: 'all-linear', layers_to_transform: 1 }).message,
    /to be a list/,
  );
});

test('options that say nothing beside the others are faults of a request, not of a file', () => {
  const idle: [param: string, options: Record<string, unknown>][] = [
    ['prompt_tuning_init_text', { peft_type: 'PROMPT_TUNING', prompt_tuning_init_text: 'Answer:' }],
    [
      'prompt_tuning_init_text',
      { peft_type: 'PROMPT_TUNING', prompt_tuning_init: 'SAMPLE_VOCAB', prompt_tuning_init_text: 'Answer:' },
    ],
    ['encoder_num_layers', { peft_type: 'P_TUNING', encoder_num_layers: 3 }],
    ['encoder_dropout', { peft_type: 'P_TUNING', encoder_dropout: 0.1 }],
    [
      'encoder_dropout',
      {
        peft_type: 'P_TUNING',
        encoder_reparameterization_type: 'LSTM',
        encoder_num_layers: 1,
        encoder_dropout: 0.1,
      },
    ],
    ['encoder_hidden_size', { peft_type: 'PREFIX_TUNING', encoder_hidden_size: 12 }],
    [
      'encoder_hidden_size',
      { peft_type: 'PREFIX_TUNING', encoder_hidden_size: 12, prefix_projection: false },
    ],
  ];
  for (const [param, options] of idle) {
    const error = failure(options);
    assert.deepEqual([error.code, error.param], ['invalid_peft_config', `peft.${param}`]);
    parsePeftConfig(options, { saved: true });
  }
  assert.match(
    failure(idle[0]![1]).message,
    /prompt_tuning_init_text: is for prompt_tuning_init TEXT, which is RANDOM/,
  );
  parsePeftConfig({ peft_type: 'P_TUNING', encoder_num_layers: 2, encoder_dropout: 0 });
  const lstm = { peft_type: 'P_TUNING', encoder_reparameterization_type: 'LSTM' };
  parsePeftConfig({ ...lstm, encoder_num_layers: 3, encoder_dropout: 0.1 });
  parsePeftConfig({ peft_type: 'PREFIX_TUNING', encoder_hidden_size: 12, prefix_projection: true });
});

test('regular expressions are bounded and linear', () => {
  const withTarget = (pattern: string) => failure({ peft_type: 'LORA', target_modules: pattern });
  assert.match(withTarget('(unclosed').message, /not a usable regular expression/);
  assert.match(withTarget('(?=.*q_proj).*').message, /look-around/);
  assert.equal(withTarget('a'.repeat(513)).code, 'invalid_peft_config');
  for (const large of ['((a{1000}){1000}){1000}', '.{1000}'.repeat(41), '(.?){1000}'.repeat(50)])
    assert.match(withTarget(large).message, /more than 4096 states/);
  const ranks = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}.*x`, 4]));
  assert.match(
    failure({ peft_type: 'LORA', rank_pattern: ranks }).message,
    /regular expressions of more than/,
  );
  assert.match(
    failure({ peft_type: 'LORA', modules_to_save: Object.keys(ranks) }).message,
    /regular expressions of more than/,
  );
  const clash = { peft_type: 'LORA', layers_to_transform: 0, layers_pattern: '(?P<idx>h)' };
  assert.match(failure(clash).message, /not a usable/);
  assert.equal(failure({ peft_type: 'LORA', rank_pattern: { '(': 4 } }).param, 'peft.rank_pattern');
});

test("a saved adapter_config.json parses, a request may not set PEFT's bookkeeping", () => {
  const saved = {
    peft_type: 'LORA',
    base_model_name_or_path: 'org/base',
    inference_mode: true,
    peft_version: '0.21.2',
  };
  assert.deepEqual(parsePeftConfig(saved, { saved: true }), parsePeftConfig({ peft_type: 'LORA' }));
  assert.equal(failure(saved).param, 'peft.base_model_name_or_path');
  parsePeftConfig({ peft_type: 'LORA', base_model_name_or_path: null, auto_mapping: null, revision: null });
});

test("options of EVA are PEFT's", () => {
  const eva = (eva_config: unknown, more = {}) => ({
    peft_type: 'LORA',
    init_lora_weights: 'eva',
    eva_config,
    ...more,
  });
  parsePeftConfig(eva({ rho: 1, tau: 0, use_label_mask: false, label_mask_value: -100, whiten: true }));
  parsePeftConfig(
    eva({ rho: 1, adjust_scaling_factors: false }, { use_rslora: true, rank_pattern: { q: 2 } }),
  );
  for (const [part, values] of Object.entries({
    rho: [0.5, '1', 513, null],
    tau: [-0.1, 1.1, null],
    use_label_mask: [0],
    label_mask_value: [0],
    whiten: ['yes'],
    tua: [0.9],
  }))
    for (const value of values) {
      const { code, param } = failure(eva({ rho: 1, [part]: value }));
      assert.deepEqual([code, param], ['invalid_peft_config', `peft.eva_config.${part}`]);
    }
  assert.equal(failure(eva(7)).param, 'peft.eva_config');
  // Its default redistributes ranks.
  parsePeftConfig(eva(null));
  const widened: [param: string, eva_config: unknown, more?: object][] = [
    ['use_rslora', null, { use_rslora: true }],
    ['rank_pattern', {}, { rank_pattern: { q_proj: 3 } }],
    ['eva_config.adjust_scaling_factors', { adjust_scaling_factors: false }],
  ];
  for (const [param, eva_config, more] of widened) {
    const error = failure(eva(eva_config, more));
    assert.equal(error.param, `peft.${param}`);
    assert.match(error.message, /with eva_config\.rho 2, which redistributes ranks; at rho 1 none are$/);
  }
});

test('a file that names EVA has its ranks, and is read as plain LoRA; what EVA trains is published with the widest rank', () => {
  const eva = { peft_type: 'LORA', r: 3, lora_alpha: 6, init_lora_weights: 'eva' };
  const file = {
    ...eva,
    task_type: 'SEQ_CLS',
    eva_config: { rho: 2 },
    rank_pattern: { q_proj: 5 },
    use_dora: true,
  };
  const read = parsePeftConfig(file, { saved: true }) as PeftConfig<'LORA'>;
  assert.deepEqual([read.init_lora_weights, read.eva_config, read.r], [true, null, 3]);
  assert.deepEqual(read.rank_pattern, { q_proj: 5 });
  const of = (options: object) =>
    publishedPeft(parsePeftConfig({ ...eva, ...options })) as PeftConfig<'LORA'>;
  const published = of({ alpha_pattern: { q_proj: 9 } });
  assert.deepEqual([published.init_lora_weights, published.eva_config], [true, null]);
  assert.deepEqual([published.r, published.lora_alpha, published.alpha_pattern], [6, 12, { q_proj: 18 }]);
  assert.equal(of({ eva_config: { rho: 1 } }).r, 3);
  // Halves are rounded as in Python.
  assert.deepEqual([of({ eva_config: { rho: 1.5 } }).r, of({ eva_config: { rho: 3.5 } }).r], [4, 10]);
  assert.equal(publishedPeft(published), published);
});
