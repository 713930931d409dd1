import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { readAdapter, writeAdapter } from '../../adapter-files/adapter-files.ts';
import { type PeftConfig, parsePeftConfig } from '../../config/index.ts';
import { writeSafetensors } from '../../safetensors/write-safetensors.ts';
import { tempFolder } from '../../testing/temp-folder.ts';

// test/golden/matrix/adapters-library.test.ts checks that these files equal the library's byte for byte and that the library loads them.
const at = tempFolder();

const bert = {
  model_type: 'bert',
  vocab_size: 16,
  hidden_size: 4,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  max_position_embeddings: 8,
};
const key = 'bert.encoder.layer.0.output.adapters.graft.adapter_down.0.weight';
const down = { shape: [2, 4], data: Float32Array.from({ length: 8 }, (_, i) => i / 8) };
const head = { shape: [2, 4], data: new Float32Array(8).fill(0.5) };

/** Writes a folder as the library does, with changes. */
async function saved(
  name: string,
  changes: { about?: Record<string, unknown>; config?: Record<string, unknown>; keys?: string[] },
): Promise<string> {
  mkdirSync(at(name));
  const config = {
    mh_adapter: false,
    output_adapter: true,
    reduction_factor: 2,
    non_linearity: 'relu',
    original_ln_before: true,
    scaling: 1,
    phm_layer: false,
    inv_adapter: null,
    ...changes.config,
  };
  const about = {
    model_class: 'BertModel',
    model_name: 'org/base',
    name: 'theirs',
    version: 'adapters.1.3.0',
  };
  writeFileSync(at(name, 'adapter_config.json'), JSON.stringify({ ...about, config, ...changes.about }));
  const keys = changes.keys ?? ['encoder.layer.0.output.adapters.theirs.adapter_down.0.weight'];
  await writeSafetensors(
    at(name, 'adapter.safetensors'),
    keys.map((name) => ({ name, ...down })),
    { metadata: {} },
  );
  return at(name);
}

test("a classifier's adapter and head lie in the library's two files, with the classes' names", async () => {
  const peft = parsePeftConfig({ peft_type: 'BOTTLENECK', task_type: 'SEQ_CLS', reduction_factor: 2 });
  const tensors = new Map([
    [key, down],
    ['classifier.weight', head],
  ]);
  const labels = ['good', 'bad'];
  const { files } = await writeAdapter(at('classifier'), {
    peft,
    baseModelNameOrPath: 'org/base',
    tensors,
    labels,
    baseConfig: bert,
  });
  assert.deepEqual(files.map(({ path }) => path).sort(), [
    'README.md',
    'adapter.safetensors',
    'adapter_config.json',
    'head_config.json',
    'model_head.safetensors',
  ]);
  assert.deepEqual(readdirSync(at('classifier')).sort(), files.map(({ path }) => path).sort());
  const about = JSON.parse(readFileSync(at('classifier', 'head_config.json'), 'utf8'));
  assert.deepEqual([about.model_class, about.num_labels], ['BertForSequenceClassification', 2]);
  assert.deepEqual(about.label2id, { good: 0, bad: 1 });
  const read = await readAdapter(at('classifier'));
  assert.deepEqual(read.config, peft);
  assert.deepEqual(read.tensors, tensors);
  assert.deepEqual(read.labels, labels);
  assert.equal(read.common.base_model_name_or_path, 'org/base');
});

test("a folder of the library is read under Graft's name for the adapter, and its head as modules_to_save", async () => {
  const folder = await saved('language', {
    about: { model_class: 'LlamaForCausalLM' },
    keys: ['model.layers.0.output_adapters.adapters.theirs.adapter_down.0.weight'],
  });
  await writeSafetensors(at('language', 'model_head.safetensors'), [{ name: 'lm_head.weight', ...head }], {
    metadata: {},
  });
  const { config, tensors, labels } = await readAdapter(folder);
  assert.deepEqual(
    [...tensors.keys()],
    ['model.layers.0.output_adapters.adapters.graft.adapter_down.0.weight', 'lm_head.weight'],
  );
  assert.deepEqual([config.task_type, labels], ['CAUSAL_LM', null]);
  assert.deepEqual((config as PeftConfig<'BOTTLENECK'>).modules_to_save, ['lm_head']);
});

test('an adapter of a model with flexible heads, saved without one, is one of the bare model', async () => {
  const keys = ['bert.encoder.layer.0.output.adapters.theirs.adapter_down.0.weight'];
  const folder = await saved('flexible', { about: { model_class: 'BertAdapterModel' }, keys });
  const { config, tensors } = await readAdapter(folder);
  assert.equal(config.task_type, 'FEATURE_EXTRACTION');
  assert.deepEqual([...tensors.keys()], ['encoder.layer.0.output.adapters.graft.adapter_down.0.weight']);
  writeFileSync(at('flexible', 'head_config.json'), '{}');
  await assert.rejects(readAdapter(folder), {
    code: 'unimplemented_peft_option',
    message: /head of BertAdapterModel/,
  });
});

test('options that the library keeps without looking at them mean nothing', async () => {
  const idle = { is_parallel: true, adapter_residual_before_ln: true, residual_before_ln: 'post_add' };
  const folder = await saved('idle', { config: { ...idle, inv_adapter_reduction_factor: 2 } });
  const config = (await readAdapter(folder)).config as PeftConfig<'BOTTLENECK'>;
  assert.deepEqual(
    [config.original_ln_before, config.adapter_residual_before_ln, config.residual_before_ln],
    [false, false, true],
  );
});

test('what cannot be read is refused by name', async () => {
  await assert.rejects(readAdapter(await saved('lora', { config: { architecture: 'lora' } })), {
    code: 'unimplemented_peft_type',
    message: /"lora"/,
  });
  await assert.rejects(readAdapter(await saved('compacter', { config: { phm_layer: true } })), {
    code: 'unimplemented_peft_option',
    message: /phm_layer/,
  });
  await assert.rejects(readAdapter(await saved('vision', { about: { model_class: 'ViTForImages' } })), {
    code: 'invalid_adapter',
    message: /ViTForImages/,
  });
  const pickled = await saved('pickled', {});
  renameSync(at('pickled', 'adapter.safetensors'), at('pickled', 'pytorch_adapter.bin'));
  await assert.rejects(readAdapter(pickled), { code: 'invalid_adapter', message: /use_safetensors=True/ });
});
