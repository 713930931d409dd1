/** Tests long prompts beside answers in progress. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { GraftError } from '../../errors.ts';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { type GenerateRequest, openGenerator } from '../generator.ts';

/** So large that a prompt of 900,000 bytes, with at most five bytes per token, has to be tokenised. */
const CONTEXT = 200_000;

let folder: string;
let base: BaseModel;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-long-prompts-'));
  await writeTinyModel(folder, { max_position_embeddings: CONTEXT });
  base = await openBaseModel(folder);
});
after(async () => {
  await base.close();
  await rm(folder, { recursive: true });
});

test('prompts that are too long are counted and refused, and a chat that came after them is answered before', async () => {
  const generator = await openGenerator({ base, context: CONTEXT, rows: 16, cacheBytes: 1 });
  const ended: string[] = [];
  const read: number[] = [];
  const answer = async (team: string, request: GenerateRequest) => {
    for await (const _ of generator.generate({ team, ...request }));
  };
  try {
    await answer('before', { prompt: 'Hello', max_tokens: 3 });
    const many = Array.from({ length: 8 }, async (_, i) => {
      const prompt = 'abcdefghijklmnopqrstuvwxyz'.repeat(35_000).slice(i, i + 900_000);
      const request = { prompt, onPromptRead: (tokens: number) => read.push(tokens) };
      await assert.rejects(answer('many', request), ({ code, message }: GraftError) => {
        assert.match(message, /^the prompt has 900000 tokens; this model answers within 200000 /);
        return code === 'context_length_exceeded';
      });
      ended.push('refused');
    });
    const one = answer('one', { prompt: 'Hello', max_tokens: 3 }).then(() => ended.push('answered'));
    await Promise.all([...many, one]);
  } finally {
    await generator.close();
  }
  assert.deepEqual(read, Array(8).fill(900_000));
  assert.ok(ended.indexOf('answered') < 8, `the chat waited for all: ${ended}`);
});

test('what is too long whatever its tokens are is refused unread, and counts as the fewest that it can have', async () => {
  const generator = await openGenerator({ base, context: 2048, rows: 2, cacheBytes: 1 });
  const read: number[] = [];
  const onPromptRead = (tokens: number) => read.push(tokens);
  const text = 'a'.repeat(900_000);
  try {
    for (const request of [{ prompt: text }, { messages: [{ role: 'user', content: text }] }])
      await assert.rejects(
        generator.generate({ ...request, onPromptRead }).next(),
        ({ code, message, param }: GraftError) =>
          code === 'context_length_exceeded' && /at least 18000\d tokens/.test(message) && param! in request,
      );
    for await (const _ of generator.generate({ prompt: 'Hello', max_tokens: 1, onPromptRead }));
  } finally {
    await generator.close();
  }
  assert.equal(read.length, 3);
  assert.deepEqual([read[0], read[2]], [180_000, 5]);
});

test('a long prompt that fits is answered as it was, and one whose client leaves is not', async () => {
  const generator = await openGenerator({ base, context: 8192, rows: 2, cacheBytes: 1 });
  const prompt = 'ab'.repeat(3000);
  try {
    let tokens = 0;
    for await (const { promptTokens } of generator.generate({ prompt, max_tokens: 2 })) tokens = promptTokens;
    assert.equal(tokens, 6000);
    const leaving = new AbortController();
    const left = generator.generate({ prompt: 'cd'.repeat(3000), signal: leaving.signal }).next();
    setImmediate(() => leaving.abort(new Error('gone')));
    await assert.rejects(left, /gone/);
  } finally {
    await generator.close();
  }
});
