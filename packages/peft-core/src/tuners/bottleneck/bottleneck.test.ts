import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeftConfig } from '../../config/index.ts';
import type { GraftError } from '../../errors.ts';
import { architectureFor } from '../../models/registry.ts';
import { outlineOf } from '../../outlines/index.ts';
import { Random } from '../../random.ts';
import { checkAgainstModel } from '../check.ts';
import { attach } from '../registry.ts';
import type { BottleneckConfig } from './config.ts';
import { placesOf } from './places.ts';

const parse = (options: Record<string, unknown> = {}) =>
  parsePeftConfig({ peft_type: 'BOTTLENECK', ...options }) as BottleneckConfig;

const llama = {
  num_key_value_heads: 2,
  model_type: 'llama',
  vocab_size: 32,
  hidden_size: 24,
  intermediate_size: 32,
  num_hidden_layers: 3,
  num_attention_heads: 2,
  tie_word_embeddings: true,
};
const untied = { ...llama, tie_word_embeddings: false };

test('presets fill in what a request leaves out, as the adapters library has them', () => {
  const common = {
    peft_type: 'BOTTLENECK',
    task_type: 'CAUSAL_LM',
    cross_adapter: false,
    original_ln_after: true,
    ln_before: false,
    ln_after: false,
    residual_before_ln: true,
    adapter_residual_before_ln: false,
    dropout: 0,
    leave_out: [],
    modules_to_save: null,
  };
  const sequential = { original_ln_before: false, is_parallel: false, scaling: 1, init_weights: 'bert' };
  const pfeiffer = {
    ...common,
    ...sequential,
    original_ln_before: true,
    mh_adapter: false,
    output_adapter: true,
    non_linearity: 'relu',
    reduction_factor: 16,
  };
  assert.deepEqual(parse(), pfeiffer);
  assert.deepEqual(parse({ preset: 'seq_bn' }), pfeiffer);
  assert.deepEqual(parse({ preset: 'double_seq_bn', reduction_factor: 4 }), {
    ...common,
    ...sequential,
    mh_adapter: true,
    output_adapter: true,
    non_linearity: 'swish',
    reduction_factor: 4,
  });
  assert.deepEqual(parse({ preset: 'par_bn' }), {
    ...common,
    original_ln_before: false,
    mh_adapter: false,
    output_adapter: true,
    non_linearity: 'relu',
    reduction_factor: 2,
    init_weights: 'mam_adapter',
    is_parallel: true,
    scaling: 4,
  });
  assert.deepEqual(parse(pfeiffer), pfeiffer, 'a complete config is unchanged');
});

const fault = (run: () => unknown): GraftError => {
  try {
    run();
  } catch (error) {
    return error as GraftError;
  }
  assert.fail('was accepted');
};

test('options that contradict each other, or that Graft has not, are refused by name', () => {
  const refused: [options: Record<string, unknown>, code: string, field: string, message: RegExp][] = [
    [{ preset: null }, 'invalid_peft_config', 'mh_adapter', /required without a preset/],
    [{ preset: 'compacter' }, 'unimplemented_peft_option', 'preset', /not implemented/],
    [{ preset: 'houlsby' }, 'unimplemented_peft_option', 'preset', /use double_seq_bn/],
    [{ output_adapter: false }, 'invalid_peft_config', 'output_adapter', /nothing would be trained/],
    [{ is_parallel: true }, 'invalid_peft_config', 'original_ln_before', /par_bn/],
    [{ adapter_residual_before_ln: true }, 'invalid_peft_config', 'adapter_residual_before_ln', /ln_after/],
    [
      { preset: 'double_seq_bn', residual_before_ln: 'post_add' },
      'invalid_peft_config',
      'residual_before_ln',
      /original_ln_before/,
    ],
    [{ reduction_factor: { first: 2 } }, 'invalid_peft_config', 'reduction_factor', /"first"/],
    [{ reduction_factor: 0 }, 'invalid_peft_config', 'reduction_factor', /from 0.0625/],
    [{ non_linearity: 'mish' }, 'unimplemented_peft_option', 'non_linearity', /relu, gelu/],
    [{ non_linearity: 'mosh' }, 'invalid_peft_config', 'non_linearity', /one of/],
    [{ phm_layer: true }, 'unimplemented_peft_option', 'phm_layer', /false/],
    [{ use_gating: true }, 'unimplemented_peft_option', 'use_gating', /false/],
    [{ inv_adapter: 'nice' }, 'unimplemented_peft_option', 'inv_adapter', /null/],
    [{ reduction: 8 }, 'unknown_peft_option', 'reduction', /reduction_factor/],
  ];
  for (const [options, code, field, message] of refused) {
    const error = fault(() => parse(options));
    assert.equal(error.code, code, field);
    assert.equal(error.param, `peft.${field}`);
    assert.match(error.message, message);
  }
});

test('what does not fit the model is refused before a job is accepted', () => {
  const refused: [options: Record<string, unknown>, model: Record<string, unknown>, message: RegExp][] = [
    [{ leave_out: [3] }, llama, /leave_out: there is no layer 3; layers are 0 to 2/],
    [{ leave_out: [0, 1, 2] }, llama, /no adapter is left/],
    [{ reduction_factor: { '0': 2 } }, llama, /neither "1" nor "default"/],
    [{ reduction_factor: { '9': 2, default: 4 } }, llama, /there is no layer 9/],
    [{ cross_adapter: true }, llama, /llama has no cross-attention/],
    [{ residual_before_ln: 'post_add' }, llama, /norms before its sublayers/],
    [{}, { ...llama, model_type: 'granite' }, /has no granite models/],
    [{}, { ...llama, model_type: 'gemma3_text' }, /original_ln_before: must be false for gemma3_text/],
    [{ original_ln_after: false }, { ...llama, model_type: 'qwen2' }, /must be true for qwen2/],
    [{ modules_to_save: ['lm_head'] }, llama, /tied to the embeddings/],
    [{ modules_to_save: ['q_proj'] }, untied, /part of the base model/],
    [{ modules_to_save: ['lm_haed'] }, untied, /nearest: lm_head/],
  ];
  for (const [options, model, message] of refused)
    assert.match(fault(() => checkAgainstModel(parse(options), model)).message, message);
  checkAgainstModel(parse({ modules_to_save: ['lm_head'], leave_out: [1] }), untied);
});

test('adapters stand where the options put them, as wide as the layer divided by the reduction factor', () => {
  const places = (options: Record<string, unknown>) =>
    placesOf(parse(options), outlineOf(llama, 'CAUSAL_LM')).map(({ site, width }) => [site.module, width]);
  assert.deepEqual(places({ reduction_factor: { '2': 5, default: 100 }, leave_out: [0] }), [
    ['model.layers.1.output_adapters', 1],
    ['model.layers.2.output_adapters', 4],
  ]);
  assert.deepEqual(places({ mh_adapter: true, reduction_factor: 0.5, leave_out: [0, 2] }), [
    ['model.layers.1.attention_adapters', 48],
    ['model.layers.1.output_adapters', 48],
  ]);
  // In Python 24 // 0.1 is 239.0, although 24 / 0.1 is 240.0.
  assert.equal(places({ reduction_factor: 0.1 })[0]![1], 239);
});

test('start values: where they are zero, around which deviation, within which bound', () => {
  const drawn = (init_weights: string) => {
    const config = parse({ init_weights, reduction_factor: 1 });
    const { parameters } = attach(config, architectureFor('llama', llama), 'trained');
    return (end: string) => {
      const { init } = parameters.find(({ name }) => name.endsWith(end))!;
      assert.equal(init.kind, 'draw');
      return init.kind === 'draw' ? [...init.draw(new Random(1, 'test'))] : [];
    };
  };
  const deviation = (values: number[]) =>
    Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  const largest = (values: number[]) => Math.max(...values.map(Math.abs));

  const bert = drawn('bert');
  assert.ok(Math.abs(deviation(bert('adapter_up.weight')) - 0.02) < 0.002);
  assert.equal(largest(bert('adapter_up.bias')), 0);
  const mam = drawn('mam_adapter');
  assert.equal(largest(mam('adapter_up.weight')), 0);
  const bound = 1 / Math.sqrt(24);
  assert.ok(largest(mam('adapter_down.0.weight')) <= bound);
  assert.ok(Math.abs(deviation(mam('adapter_down.0.weight')) - bound / Math.sqrt(3)) < 0.01);
  const houlsby = drawn('houlsby')('adapter_down.0.weight');
  assert.ok(largest(houlsby) <= 0.02);
  // A normal distribution truncated at two standard deviations has 0.8796 of its standard deviation.
  assert.ok(Math.abs(deviation(houlsby) - 0.008796) < 0.0006);
});
