/** llama.cpp finds the tokens of Hugging Face's tokenizers in exported files, for a tokenizer of every family (gguf_converter.py). */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeExport } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { adapterOf, randomModels, writeRandomAdapter, writeRandomModel } from './random-models.ts';
import { hasRuntime, runGguf } from './runtime.ts';

interface Case {
  modelTypes: string[];
  rows: number;
  config: Record<string, unknown>;
  tokenizerJson: { normalizer: { type: string } | null };
  tokenizerConfig: Record<string, unknown>;
  fields: Record<string, unknown>;
  texts: { text: string; ids: number[] }[];
}

const folder = scratchFolder('llama-tokenizers');
const data = new URL('../../packages/peft-core/src/gguf/testdata/gguf-converter.json', import.meta.url);
const { cases } = JSON.parse(await readFile(data, 'utf8')) as { cases: Record<string, Case> };

for (const [name, { modelTypes, rows, tokenizerJson, tokenizerConfig, fields, texts }] of Object.entries(
  cases,
))
  test(name, { skip: !hasRuntime() }, async () => {
    const at = (...parts: string[]) => join(folder, name.replaceAll(/\W+/g, '-'), ...parts);
    const random = Object.values(randomModels).find(({ model_type }) => modelTypes.includes(model_type))!;
    const sizes = { vocab_size: rows, bos_token_id: null, eos_token_id: 0, pad_token_id: null };
    const config = {
      ...random,
      ...sizes,
      ...('vocab_size_per_layer_input' in random && { vocab_size_per_layer_input: rows }),
    };
    await writeRandomModel(at('model'), config);
    await writeFile(at('model', 'tokenizer.json'), JSON.stringify(tokenizerJson));
    await writeFile(at('model', 'tokenizer_config.json'), JSON.stringify(tokenizerConfig));
    await writeRandomAdapter(at('adapter'), { config, peft: adapterOf(config), deviation: 0 });
    await mkdir(at('gguf'));
    const base = await openBaseModel(at('model'));
    try {
      const request = {
        base,
        adapterDir: at('adapter'),
        outputDir: at('gguf'),
        options: { dtype: 'f32' },
        name: 'gardener',
      };
      await writeExport('gguf', request);
    } finally {
      await base.close();
    }
    const answer = await runGguf({ model: at('gguf', 'model.gguf'), texts: texts.map(({ text }) => text) });
    for (const [i, { text, ids }] of texts.entries()) {
      // llama.cpp composes no characters.
      if (tokenizerJson.normalizer?.type === 'NFC' && text.normalize('NFC') !== text) continue;

      assert.deepEqual(answer.texts[i], ids, JSON.stringify(text));
    }
    assert.equal(answer.addsBos, fields['tokenizer.ggml.add_bos_token'] ?? false);
  });
