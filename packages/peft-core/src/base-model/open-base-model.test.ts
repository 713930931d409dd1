import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { GraftError } from '../errors.ts';
import { writeGguf } from '../gguf/testing/write-gguf.ts';
import { type TensorToWrite, writeSafetensors } from '../safetensors/write-safetensors.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { openBaseModel } from './open-base-model.ts';
import { tinyConfig, tinyGguf, tinyTokenizer, tinyWeights, writeTinyFolder } from './testing/tiny-folder.ts';
import { writeModelFolder } from './write-model-folder.ts';

const at = tempFolder();
const weights = tinyWeights();

async function folder(name: string, tensors: TensorToWrite[] = weights, config = {}): Promise<string> {
  await writeTinyFolder(at(name), config);
  await writeSafetensors(at(name, 'model.safetensors'), tensors);
  return at(name);
}

async function refuses(location: string, code: string, message: RegExp): Promise<void> {
  await assert.rejects(openBaseModel(location), (error: GraftError) => {
    assert.ok(error instanceof GraftError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

test('a Hugging Face folder', async () => {
  const model = await openBaseModel(await folder('plain'));
  assert.equal(model.format, 'hf');
  assert.equal(model.modelType, 'llama');
  assert.deepEqual(model.config, tinyConfig);
  assert.deepEqual(model.generationConfig, { eos_token_id: [1] });
  assert.deepEqual(model.tokenizerFiles.tokenizerJson, tinyTokenizer);
  assert.equal(model.tokenizerFiles.chatTemplate, '{{ messages[0].content }}');
  for (const { name, shape, data } of weights) {
    assert.deepEqual(model.tensors.info(name), { dtype: 'F32', shape });
    assert.deepEqual(await model.tensors.readFloat32(name), data);
    assert.deepEqual(await model.tensors.readBfloat16(name), toBfloat16(data));
  }
  const file = readFileSync(at('plain', 'model.safetensors'));
  assert.equal(await model.digest(), createHash('sha256').update(file).digest('hex'));
  await model.close();
});

test('chat_template.jinja comes before the template in tokenizer_config.json, and a list has a default', async () => {
  const dir = await folder('template');
  writeFileSync(path.join(dir, 'chat_template.jinja'), 'from the file');
  const model = await openBaseModel(dir);
  assert.equal(model.tokenizerFiles.chatTemplate, 'from the file');
  await model.close();
  rmSync(path.join(dir, 'chat_template.jinja'));
  const named = [
    { name: 'tool_use', template: 'tools' },
    { name: 'default', template: 'plain' },
  ];
  writeFileSync(path.join(dir, 'tokenizer_config.json'), JSON.stringify({ chat_template: named }));
  const again = await openBaseModel(dir);
  assert.equal(again.tokenizerFiles.chatTemplate, 'plain');
  await again.close();
});

test('shards', async () => {
  const dir = at('shards');
  await writeTinyFolder(dir);
  const half = weights.length / 2;
  await writeSafetensors(path.join(dir, 'model-00001-of-00002.safetensors'), weights.slice(0, half));
  await writeSafetensors(path.join(dir, 'model-00002-of-00002.safetensors'), weights.slice(half));
  const map = weights.map(({ name }, i) => [name, `model-0000${i < half ? 1 : 2}-of-00002.safetensors`]);
  const index = (entries: [string, unknown][]) =>
    writeFileSync(
      path.join(dir, 'model.safetensors.index.json'),
      JSON.stringify({ weight_map: Object.fromEntries(entries) }),
    );
  index(map as [string, string][]);
  const model = await openBaseModel(dir);
  for (const { name, data } of weights) assert.deepEqual(await model.tensors.readFloat32(name), data);
  assert.match(await model.digest(), /^[0-9a-f]{64}$/);
  await model.close();

  index([...(map as [string, string][]), ['extra.weight', 'model-00001-of-00002.safetensors']]);
  await refuses(dir, 'invalid_model', /00001-of-00002.safetensors lacks the tensor "extra.weight"/);
  index([['a', '../plain/model.safetensors']]);
  await refuses(dir, 'invalid_model', /"a" into "\.\.\/plain/);
  index([['a', 'model-00003-of-00003.safetensors']]);
  await refuses(dir, 'file_not_found', /00003/);
});

test('GGUF: the same model as from the folder, from the file and from a folder that holds it', async () => {
  mkdirSync(at('gguf'));
  await writeGguf(at('gguf', 'tiny.gguf'), tinyGguf());
  for (const location of [at('gguf', 'tiny.gguf'), at('gguf')]) {
    const model = await openBaseModel(location);
    assert.equal(model.format, 'gguf');
    assert.equal(model.path, at('gguf', 'tiny.gguf'));
    for (const [field, value] of Object.entries(tinyConfig))
      assert.deepEqual(model.config[field], value, field);
    assert.deepEqual(model.tensors.names().sort(), weights.map(({ name }) => name).sort());
    for (const { name, shape, data } of weights) {
      assert.deepEqual(model.tensors.info(name), { dtype: 'F32', shape });
      assert.deepEqual(await model.tensors.readFloat32(name), data, name);
      assert.deepEqual(await model.tensors.readBfloat16(name), toBfloat16(data), name);
    }
    await model.close();
  }
  writeFileSync(at('gguf', 'config.json'), '{}');
  await openBaseModel(at('gguf')).then((model) => model.close());
  await writeGguf(at('gguf', 'other.gguf'), tinyGguf());
  await refuses(at('gguf'), 'invalid_model', /several .gguf files; name one: other.gguf, tiny.gguf/);
});

test('GGUF: the tokenizer files', async () => {
  await writeGguf(at('tokenizer.gguf'), tinyGguf());
  const model = await openBaseModel(at('tokenizer.gguf'));
  const { tokenizerJson, tokenizerConfig, chatTemplate } = model.tokenizerFiles;
  await model.close();
  const added = tokenizerJson.added_tokens as { content: string; special: boolean }[];
  assert.deepEqual(
    added.map(({ content, special }) => [content, special]),
    [
      ['<s>', true],
      ['</s>', true],
      ['<think>', false],
    ],
  );
  const { vocab, merges } = tokenizerJson.model as { vocab: Record<string, number>; merges: string[] };
  assert.equal(vocab.ab, 7);
  assert.deepEqual(merges, ['a b']);
  assert.deepEqual((tokenizerJson.post_processor as { single: unknown }).single, [
    { SpecialToken: { id: '<s>', type_id: 0 } },
    { Sequence: { id: 'A', type_id: 0 } },
  ]);
  assert.equal(tokenizerConfig?.eos_token, '</s>');
  assert.equal(tokenizerConfig?.add_bos_token, true);
  assert.equal(chatTemplate, '{{ messages[0].content }}');
});

test('GGUF: variants that are not supported are named', async () => {
  const file = at('variant.gguf');
  const variant = async (
    change: (gguf: ReturnType<typeof tinyGguf>) => void,
    code: string,
    message: RegExp,
  ) => {
    const gguf = tinyGguf();
    change(gguf);
    await writeGguf(file, gguf);
    await refuses(file, code, message);
  };
  const set = (key: string, value: string) => (gguf: ReturnType<typeof tinyGguf>) => {
    gguf.fields[key] = { type: 'string', value };
  };
  await variant(
    set('general.architecture', 'mamba'),
    'unsupported_model',
    /architecture "mamba".*supported: (?=.*gemma3)(?=.*llama).*gpt2$/,
  );
  await variant(
    set('general.architecture', 't5'),
    'unsupported_model',
    /architecture "t5".*supported: .*gpt2; use this model's Hugging Face folder/,
  );
  await variant(
    set('tokenizer.ggml.model', 'rwkv'),
    'unsupported_tokenizer',
    /"rwkv" is not supported; supported: gpt2 \(byte-level BPE\), llama, gemma4 \(SentencePiece\)$/,
  );
  await variant(
    set('tokenizer.ggml.pre', 'chameleon'),
    'unsupported_tokenizer',
    /"chameleon".*supported: (?=.*llama-bpe)(?=.*qwen2)(?=.*tekken)dbrx, default, /,
  );
  await variant(({ fields }) => delete fields['llama.block_count'], 'invalid_gguf', /no "llama.block_count"/);
  await variant(
    ({ fields }) => delete fields['general.architecture'],
    'invalid_gguf',
    /no "general.architecture"/,
  );
  await variant(({ tensors }) => tensors.pop(), 'invalid_model', /lacks the tensor "model.norm.weight"/);
  await variant(
    ({ tensors }) => (tensors[1]!.name = 'blk.0.ssm_a.weight'),
    'unsupported_model',
    /"blk.0.ssm_a.weight"/,
  );
  await variant(
    ({ fields }) => (fields['tokenizer.ggml.bos_token_id'] = { type: 'u32', value: 99 }),
    'invalid_gguf',
    /bos_token_id" is 99, but there are 12 tokens/,
  );
  await variant(
    ({ tensors }) => (tensors.at(-1)!.type = 10),
    'unsupported_dtype',
    /"output_norm.weight" is stored as Q2_K; supported: F32/,
  );
});

test('GGUF: the rope scaling of Llama 3 comes back from its frequencies, another is refused', async () => {
  const theta = 500_000;
  const frequencies = (factor: number, high: number) =>
    Float32Array.from({ length: 4 }, (_, i) => {
      const turns = 8192 / (2 * Math.PI * theta ** ((2 * i) / 8));
      const smooth = Math.min(1, Math.max(0, (turns - 1) / (high - 1)));
      return 1 / ((1 - smooth) / factor + smooth);
    });
  const write = (factors: Float32Array) => {
    const gguf = tinyGguf();
    gguf.fields['llama.rope.freq_base'] = { type: 'f32', value: theta };
    gguf.tensors.push({
      name: 'rope_freqs.weight',
      shape: [4],
      type: 0,
      data: new Uint8Array(factors.buffer),
    });
    return writeGguf(at('rope.gguf'), gguf);
  };
  await write(frequencies(32, 4));
  const model = await openBaseModel(at('rope.gguf'));
  assert.deepEqual(model.config.rope_scaling, {
    rope_type: 'llama3',
    factor: 32,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
  });
  await model.close();
  await write(Float32Array.of(1, 2, 3, 4));
  await refuses(at('rope.gguf'), 'unsupported_model', /rope_freqs.weight/);
});

test('folders that are no supported model are refused by name', async () => {
  mkdirSync(at('none'));
  await refuses(at('none'), 'invalid_model', /neither config.json nor a .gguf file/);
  await refuses(at('absent'), 'file_not_found', /no model at/);
  writeFileSync(at('text.txt'), 'x');
  await refuses(at('text.txt'), 'invalid_model', /neither a folder nor a .gguf file/);
  await refuses(
    await folder('type', weights, { model_type: 'mamba' }),
    'unsupported_model',
    /model_type "mamba" is not supported. The nearest supported family is llama/,
  );
  await refuses(
    await folder('lacking', weights.slice(2)),
    'invalid_model',
    /lacks the tensor "model.embed_tokens.weight"/,
  );
  await refuses(
    await folder('untied', weights, { tie_word_embeddings: false }),
    'invalid_model',
    /"lm_head.weight"/,
  );
  await refuses(
    await folder('deep', weights, { num_hidden_layers: 1000 }),
    'invalid_model',
    /"model.layers.2.self_attn.q_proj.weight"/,
  );
  await refuses(
    await folder('deeper', weights, { num_hidden_layers: 1e12 }),
    'invalid_model_config',
    /num_hidden_layers must be a positive integer up to 1000/,
  );
  const [first, ...rest] = weights;
  const integers: TensorToWrite = { ...first!, dtype: 'I32', data: new Int32Array(first!.data.length) };
  await refuses(
    await folder('integers', [integers, ...rest]),
    'unsupported_dtype',
    /"model.embed_tokens.weight" is stored as I32/,
  );

  const broken = await folder('broken');
  writeFileSync(path.join(broken, 'config.json'), '{');
  await refuses(broken, 'invalid_model', /config.json is not JSON/);
  writeFileSync(path.join(broken, 'config.json'), '[]');
  await refuses(broken, 'invalid_model', /config.json is not a JSON object/);

  const pickle = await folder('pickle');
  rmSync(path.join(pickle, 'model.safetensors'));
  writeFileSync(path.join(pickle, 'pytorch_model.bin'), '');
  await refuses(
    pickle,
    'invalid_model',
    /no model.safetensors \(pytorch_model.bin: pickle files are never read\)/,
  );

  const slow = await folder('slow tokenizer');
  rmSync(path.join(slow, 'tokenizer.json'));
  await refuses(slow, 'invalid_model', /no tokenizer.json/);
});

test('tensors of another size than config.json says are refused, a resized vocabulary by that name', async () => {
  const resized = weights.map((tensor) =>
    tensor.name === 'model.embed_tokens.weight'
      ? { ...tensor, shape: [14, 32], data: new Float32Array(14 * 32) }
      : tensor,
  );
  await refuses(
    await folder('resized', resized),
    'invalid_model',
    /"model.embed_tokens.weight" has shape \[14, 32\], config.json says \[12, 32\]; resized vocabulary: config.json says vocab_size 12, the table has 14 rows/,
  );
  await openBaseModel(await folder('resized, with its vocab_size', resized, { vocab_size: 14 })).then((m) =>
    m.close(),
  );
  const wide = await folder('wide', weights, { intermediate_size: 128 });
  await refuses(
    wide,
    'invalid_model',
    /"model.layers.0.mlp.gate_proj.weight" has shape \[64, 32\], config.json says \[128, 32\]$/,
  );
});

test('a model folder: changed tensors, the rest from the base, tokenizer files; in shards and in bfloat16', async () => {
  await writeGguf(at('base.gguf'), tinyGguf());
  const base = await openBaseModel(at('base.gguf'));
  const name = 'model.layers.1.mlp.up_proj.weight';
  const changed = new Float32Array(64 * 32).fill(0.1);
  const tensors = [{ name, shape: [64, 32], data: async () => changed }];

  await writeModelFolder(at('merged'), { base, tensors });
  const merged = await openBaseModel(at('merged'));
  assert.deepEqual(merged.config, base.config);
  assert.deepEqual(JSON.stringify(merged.tokenizerFiles), JSON.stringify(base.tokenizerFiles));
  assert.deepEqual(merged.generationConfig, base.generationConfig);
  for (const { name: each, data } of weights) {
    assert.deepEqual(await merged.tensors.readFloat32(each), each === name ? changed : data);
  }
  await merged.close();

  await writeModelFolder(at('sharded'), { base, tensors, dtype: 'bfloat16', shardBytes: 8192 });
  const shards = readdirSync(at('sharded')).filter((file) => file.startsWith('model-'));
  assert.ok(
    shards.length > 2 && shards.every((file) => /^model-0000\d-of-0000\d.safetensors$/.test(file)),
    shards.join(),
  );
  const sharded = await openBaseModel(at('sharded'));
  assert.equal(sharded.config.dtype, 'bfloat16');
  for (const { name: each, data } of weights) {
    assert.equal(sharded.tensors.info(each).dtype, 'BF16');
    assert.deepEqual(await sharded.tensors.readBfloat16(each), toBfloat16(each === name ? changed : data));
  }
  await sharded.close();

  const floats = await folder('floats', weights, { rope_theta: 500_000, initializer_factor: 1 });
  const file = path.join(floats, 'config.json');
  writeFileSync(
    file,
    readFileSync(file, 'utf8').replace('"initializer_factor":1', '"initializer_factor": 1.0'),
  );
  const withFloats = await openBaseModel(floats);
  await writeModelFolder(at('floats again'), { base: withFloats, tensors });
  const config = readFileSync(at('floats again', 'config.json'), 'utf8');
  assert.match(config, /"initializer_factor": 1\.0,\n/);
  assert.match(config, /"rope_theta": 500000,\n/);
  await withFloats.close();

  const head = { name: 'lm_head.weight', shape: [12, 32], data: new Float32Array(12 * 32) };
  await writeModelFolder(at('untied head'), { base, tensors: [head] });
  const untied = await openBaseModel(at('untied head'));
  assert.equal(untied.config.tie_word_embeddings, false);
  await untied.close();
  await base.close();
});
