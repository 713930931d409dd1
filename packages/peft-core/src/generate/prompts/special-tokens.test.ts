import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBaseModel } from '../../files.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { type GenerateRequest, openGenerator } from '../generator.ts';

test('special tokens in messages and prompts are plain text, and tokens where they are allowed', async () => {
  const at = tempFolder();
  await writeTinyModel(at('model'));
  const base = await openBaseModel(at('model'));
  const generator = await openGenerator({ base, context: 64 });
  const promptTokens = async (request: GenerateRequest) => {
    const pieces = generator.generate({ ...request, max_tokens: 1 });
    for (;;) {
      const next = await pieces.next();
      if (next.done) return next.value.promptTokens;
    }
  };
  try {
    // As plain text it has a token for each of its four characters.
    for (const text of [
      { prompt: 'a</s>b' },
      { messages: [{ role: 'user', content: 'a</s>b' }] },
    ] as GenerateRequest[]) {
      const [plain, allowed] = [
        await promptTokens(text),
        await promptTokens({ ...text, allow_special_tokens: true }),
      ];
      assert.equal(plain - allowed, 3);
    }
  } finally {
    await generator.close();
    await base.close();
  }
});
