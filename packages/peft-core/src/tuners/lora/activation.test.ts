/** Refusals of activated LoRA, and its configuration. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeftConfig } from '../../config/peft-config.ts';
import { outlineOf } from '../../outlines/index.ts';
import { tinyConfig } from '../../testing/tiny-model.ts';
import { checkAgainstModel } from '../check.ts';
import { invocationOf, methodOf, type PeftConfig, unmergeable } from '../methods.ts';

const lora = { peft_type: 'LORA', alora_invocation_tokens: [33, 62] };
const refused = (
  options: object,
  param: string,
  message: RegExp,
  model: Record<string, unknown> = tinyConfig,
) =>
  assert.throws(() => checkAgainstModel(parsePeftConfig({ ...lora, ...options }), model), {
    code: 'invalid_peft_config',
    param: `peft.${param}`,
    message,
  });

test('options that change the model before the activation, or that PEFT does not combine with it', () => {
  for (const [option, value] of Object.entries({
    use_dora: true,
    lora_bias: true,
    bias: 'all',
    task_type: 'SEQ_CLS',
    init_lora_weights: 'pissa',
    modules_to_save: ['norm'],
    trainable_token_indices: [4],
    target_parameters: ['mlp.experts.down_proj'],
  }))
    refused({ [option]: value }, option, /with alora_invocation_tokens/);
});

test('tokens that are none, and targets that are no linear layers before the output layer', () => {
  for (const tokens of [[], [-1], [1.5], 'go', [2 ** 40], Array(257).fill(1)])
    refused({ alora_invocation_tokens: tokens }, 'alora_invocation_tokens', /must be/);
  refused(
    { alora_invocation_tokens: [5, 260] },
    'alora_invocation_tokens',
    /260 is not a token id; ids are 0…259/,
  );
  const untied = { ...tinyConfig, tie_word_embeddings: false };
  refused({ target_modules: ['q_proj', 'lm_head'] }, 'target_modules', /not lm_head/, untied);
  refused({ target_modules: ['embed_tokens'] }, 'target_modules', /not model.embed_tokens/);
});

test('a model that writes no text, whatever the config says of its task', () => {
  const config = parsePeftConfig({ ...lora, target_modules: ['q_proj'] });
  for (const task of ['SEQ_CLS', 'FEATURE_EXTRACTION'] as const)
    assert.throws(() => methodOf(config).check!(config, outlineOf(tinyConfig, task)), {
      param: 'peft.alora_invocation_tokens',
      message: new RegExp(`models that write text, and this one is for ${task}`),
    });
});

test('it is read back, and is not merged', () => {
  const config = parsePeftConfig({
    ...lora,
    target_modules: 'all-linear',
    lora_dropout: 0.1,
    use_rslora: true,
  });
  checkAgainstModel(config, tinyConfig);
  assert.deepEqual(invocationOf(config), [33, 62]);
  assert.equal(invocationOf(parsePeftConfig({ peft_type: 'LORA' })), null);
  assert.equal(invocationOf(parsePeftConfig({ peft_type: 'IA3' })), null);
  assert.match(
    unmergeable(config as PeftConfig, outlineOf(tinyConfig)) ?? '',
    /active only from its invocation/,
  );
});
