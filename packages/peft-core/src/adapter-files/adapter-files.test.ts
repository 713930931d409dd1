import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parsePeftConfig } from '../config/index.ts';
import { writeSafetensors } from '../safetensors/write-safetensors.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { readAdapter, writeAdapter } from './adapter-files.ts';

const at = tempFolder();

// From scripts/golden/references/adapter_files.py: PEFT's own files for a default LoraConfig and for one with every field set.
const saved: Record<string, { given: Record<string, unknown>; text: string }> = JSON.parse(
  readFileSync(new URL('testdata/adapter-configs.json', import.meta.url), 'utf8'),
);

const key = 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight';
const tensors = new Map([[key, { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }]]);

for (const [name, { given, text }] of Object.entries(saved)) {
  test(`adapter_config.json of ${name} is PEFT's, byte for byte, and reads back`, async () => {
    const { base_model_name_or_path: base } = JSON.parse(text);
    const peft = parsePeftConfig(given);
    await writeAdapter(at(name), { peft, baseModelNameOrPath: base, tensors });
    assert.equal(readFileSync(at(name, 'adapter_config.json'), 'utf8'), text);
    const adapter = await readAdapter(at(name));
    assert.deepEqual(adapter.config, peft);
    assert.equal(adapter.common.base_model_name_or_path, base);
    assert.equal(adapter.common.inference_mode, true);
    assert.deepEqual(adapter.tensors, tensors);
  });
}

test('the files are listed with their sizes and digests, and nothing else is left', async () => {
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 2, target_modules: ['q_proj'] });
  const card = { steps: 12, trainedTokens: 3456, finalLoss: 0.123456, validationLoss: null };
  const { files } = await writeAdapter(at('listed'), {
    peft,
    baseModelNameOrPath: 'org/"name"',
    tensors,
    card,
  });
  assert.deepEqual(files.map(({ path }) => path).sort(), readdirSync(at('listed')).sort());
  for (const { path, bytes, sha256 } of files) {
    const content = readFileSync(at('listed', path));
    assert.equal(content.byteLength, bytes);
    assert.equal(createHash('sha256').update(content).digest('hex'), sha256);
  }
  const readme = readFileSync(at('listed', 'README.md'), 'utf8');
  assert.match(readme, /^---\nbase_model: "org\/\\"name\\""\nlibrary_name: peft\n/);
  assert.match(
    readme,
    /\| optimizer steps \| 12 \|\n\| trained tokens \| 3456 \|\n\| training loss at the end \| 0\.1235 \|/,
  );
  assert.ok(!readme.includes('validation loss'));
  assert.match(readme, /PeftModel\.from_pretrained/);
});

test('an adapter of another PEFT version: new fields may be off, not on', async () => {
  const write = (change: object) => {
    const config = { ...JSON.parse(saved.default!.text), ...change };
    writeFileSync(at('newer', 'adapter_config.json'), JSON.stringify(config));
  };
  cpSync(at('default'), at('newer'), { recursive: true });
  write({ peft_version: '9.0.0', use_newlora: false, new_config: null, new_pattern: {}, new_list: [] });
  assert.equal((await readAdapter(at('newer'))).common.peft_version, '9.0.0');
  write({ use_newlora: true });
  await assert.rejects(readAdapter(at('newer')), { code: 'unknown_peft_option', message: /use_newlora/ });
  write({ use_qalora: true });
  await assert.rejects(readAdapter(at('newer')), {
    code: 'unimplemented_peft_option',
    message: /use_qalora/,
  });
  write({ target_modules: [] });
  await assert.rejects(readAdapter(at('newer')), { code: 'invalid_peft_config', message: /target_modules/ });
  write({ peft_type: 'RANDLORA' });
  await assert.rejects(readAdapter(at('newer')), { code: 'unimplemented_peft_type', message: /RANDLORA/ });
});

test('broken folders are refused by name', async () => {
  cpSync(at('default'), at('broken'), { recursive: true });
  rmSync(at('broken', 'adapter_model.safetensors'));
  await assert.rejects(readAdapter(at('broken')), {
    code: 'invalid_adapter',
    message: /no adapter_model.safetensors$/,
  });
  writeFileSync(at('broken', 'adapter_model.bin'), '');
  await assert.rejects(readAdapter(at('broken')), { code: 'invalid_adapter', message: /pickle/ });
  writeFileSync(at('broken', 'adapter_model.safetensors'), 'x');
  await assert.rejects(readAdapter(at('broken')), { code: 'invalid_safetensors' });
  writeFileSync(at('broken', 'adapter_config.json'), '"x"');
  await assert.rejects(readAdapter(at('broken')), { code: 'invalid_adapter', message: /not a JSON object/ });
  rmSync(at('broken', 'adapter_config.json'));
  await assert.rejects(readAdapter(at('broken')), {
    code: 'invalid_adapter',
    message: /no adapter_config.json/,
  });
});

test('half-precision adapters are read as float32', async () => {
  cpSync(at('default'), at('half'), { recursive: true });
  await writeSafetensors(at('half', 'adapter_model.safetensors'), [
    { name: key, shape: [2], dtype: 'BF16', data: Uint16Array.of(0x3f80, 0xc000) },
  ]);
  const adapter = await readAdapter(at('half'));
  assert.deepEqual(adapter.tensors.get(key), { shape: [2], data: Float32Array.of(1, -2) });
});
