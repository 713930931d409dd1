import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkAdapterFiles, openBaseModel, readAdapter, writeAdapter } from '@graft/peft-core/files';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { realModel } from './fixtures/real-model.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';

test('adapter files, both ways: PEFT writes and Graft reads, Graft writes and PEFT loads', async () => {
  const folder = scratchFolder('adapter-files');
  const [written] = await runPythonJson<{ keys: Record<string, [number[], number]> }>('adapter_files.py', [
    'write',
    folder,
  ]);
  const { config, common, tensors } = await readAdapter(join(folder, 'adapter'));
  assert.deepEqual([...tensors.keys()].sort(), Object.keys(written!.keys).sort());
  for (const [key, [shape, sum]] of Object.entries(written!.keys)) {
    const tensor = tensors.get(key)!;
    assert.deepEqual(tensor.shape, shape, key);
    assert.ok(Math.abs(tensor.data.reduce((a, b) => a + b, 0) - sum) < 1e-9, key);
  }

  const ours = join(folder, 'ours');
  await writeAdapter(ours, { peft: config, baseModelNameOrPath: common.base_model_name_or_path, tensors });
  const arguments_ = ['check', join(folder, 'model'), ours, join(folder, 'adapter')];
  const [checked] = await runPythonJson('adapter_files.py', arguments_);
  assert.deepEqual(checked, { warnings: [], unused: [], same: true, identical: true, differing: [] });
});

test('what PEFT saves, by each of its methods, passes the check of uploads; on another model it does not', async () => {
  const folder = scratchFolder('adapter-uploads');
  const [made] = await runPythonJson<{ names: string[] }>('adapter_files.py', ['methods', folder]);
  assert.equal(made!.names.length, 20);
  const config = JSON.parse(await readFile(join(folder, 'model/config.json'), 'utf8'));
  const digest = 'a'.repeat(64);
  for (const name of made!.names) {
    const adapter = join(folder, 'adapters', name);
    const { peft, tensors } = checkAdapterFiles(adapter, { config, digest });
    const read = await readAdapter(adapter);
    assert.deepEqual([peft, tensors], [read.config, read.tensors.size], name);
    const wider = { ...config, hidden_size: 40, head_dim: 10, vocab_size: 4 };
    assert.throws(() => checkAdapterFiles(adapter, { config: wider, digest }), name);
  }
});

test("the tokenizer files made from SmolLM2's GGUF are read by transformers, to the same ids", async () => {
  const folder = join(scratchFolder('adapter-files'), 'tokenizer');
  const base = await openBaseModel(await realModel());
  const { tokenizerJson, tokenizerConfig, chatTemplate } = base.tokenizerFiles;
  await base.close();
  await mkdir(folder);
  await writeFile(join(folder, 'config.json'), JSON.stringify(base.config));
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizerJson));
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(tokenizerConfig));
  await writeFile(join(folder, 'chat_template.jinja'), chatTemplate!);
  const testdata = new URL('../../packages/peft-core/src/gguf/testdata/gguf-tokenizer.json', import.meta.url);
  const cases: { text: string; ids: number[] }[] = JSON.parse(await readFile(testdata, 'utf8'));
  const plan = {
    model: folder,
    texts: cases.map(({ text }) => text),
    chats: [[{ role: 'user', content: 'Hi' }]],
  };
  const [result] = await runPythonJson<{ texts: { ids: number[] }[]; chats: { text: string }[] }>(
    'tokens.py',
    [],
    plan,
  );
  assert.deepEqual(
    result!.texts.map(({ ids }) => ids),
    cases.map(({ ids }) => ids),
  );
  assert.match(result!.chats[0]!.text, /<\|im_start\|>user\nHi<\|im_end\|>\n$/);
});
