/** Answers with very little memory, or whose files or values disappear while they run. */
import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { type GenerateRequest, type Generator, openGenerator } from './generator.ts';
import { type AdapterBench, makeAdapterBench } from './testing/adapter-bench.ts';

const CONTEXT = 160;
let bench: AdapterBench;
before(async () => {
  bench = await makeAdapterBench({
    config: { max_position_embeddings: 4096 },
    embedding: 'model.embed_tokens.weight',
    adapters: {
      lora: { peft_type: 'LORA', r: 2, target_modules: ['q_proj', 'v_proj'] },
      ia3: { peft_type: 'IA3' },
    },
    line: (i) => ({ prompt: `${i}:`, completion: ` ${i % 2}` }),
  });
});
after(() => bench.close());

const openWith = (limits: { rows: number; cacheBytes?: number }) =>
  openGenerator({ base: bench.base, context: CONTEXT, ...limits });

async function textOf(generator: Generator, request: GenerateRequest): Promise<string> {
  let text = '';
  for await (const piece of generator.generate({ max_tokens: 8, ...request })) text += piece.text;
  return text;
}

test('eight answers to a prompt as long as the context allows, in a cache that holds one', async () => {
  const generator = await openWith({ rows: 8, cacheBytes: 1 });
  const prompt = 'a'.repeat(CONTEXT - 1);
  const alone = await textOf(generator, { prompt, team: 'alone' });
  const texts = await Promise.all(Array.from({ length: 8 }, () => textOf(generator, { prompt })));
  assert.deepEqual(texts, Array(8).fill(alone));
  const shorter = 'b'.repeat(CONTEXT - 20);
  const seeds = Array.from({ length: 8 }, (_, seed) => ({
    prompt: shorter,
    temperature: 1,
    seed,
    max_tokens: 20,
  }));
  const expected: string[] = [];
  for (const each of seeds) expected.push(await textOf(generator, { ...each, team: 'alone' }));
  assert.deepEqual(await Promise.all(seeds.map((each) => textOf(generator, each))), expected);
  await assert.rejects(
    textOf(generator, { prompt: `${prompt}a` }),
    ({ code }: GraftError) => code === 'context_length_exceeded',
  );
  await generator.close();
});

test('eight aborted answers leave all of the cache to the next', async () => {
  const generator = await openWith({ rows: 8, cacheBytes: 1 });
  const leaving = new AbortController();
  const left = Array.from({ length: 8 }, async (_, seed) => {
    const request = { prompt: 'hello', temperature: 1, seed, signal: leaving.signal };
    for await (const _ of generator.generate(request)) leaving.abort(new Error('gone'));
  });
  for (const each of left) await assert.rejects(each, /gone/);
  const prompt = 'c'.repeat(CONTEXT - 1);
  await textOf(generator, { prompt });
  await generator.close();
});

test('a team that asks once does not wait for the many of another', async () => {
  const generator = await openWith({ rows: 4 });
  const ended: string[] = [];
  let began = () => {};
  const beginning = new Promise<void>((resolve) => {
    began = resolve;
  });
  const ask = async (team: string, prompt: string) => {
    for await (const _ of generator.generate({ prompt, team, max_tokens: 12 })) began();
    ended.push(team);
  };
  const many = Array.from({ length: 32 }, (_, i) => ask('many', `${i}: ${'and so on '.repeat(8)}`));
  await beginning;
  await Promise.all([...many, ask('one', 'what is it:')]);
  assert.ok(ended.indexOf('one') <= 4, `${ended.indexOf('one')} of the many were answered before`);
  await generator.close();
});

test('a request that breaks its own answer fails alone, and leaves the engine as it was', async () => {
  const generator = await openWith({ rows: 4 });
  const expected = await textOf(generator, { prompt: 'ab', max_tokens: 40 });
  // Not a string, which is only noticed when the first text is compared with it: like any error in decoding a token.
  const stop = [{ length: 2 }] as unknown as string[];
  const broken = textOf(generator, { prompt: 'ab', max_tokens: 40, stop });
  const others = [1, 2, 3].map(() => textOf(generator, { prompt: 'ab', max_tokens: 40 }));
  await assert.rejects(
    broken,
    ({ code, fault }: GraftError) => code === 'answer_failed' && fault === 'system',
  );
  assert.deepEqual(await Promise.all(others), [expected, expected, expected]);
  await generator.close();
});

for (const name of ['lora', 'ia3'])
  test(`an adapter whose files are gone while it answers says the whole of it: ${name}`, async () => {
    const folder = bench.folderOf(name)!;
    const expected = await (async () => {
      const generator = await openWith({ rows: 4 });
      const text = await textOf(generator, { adapter: folder, prompt: 'ab', max_tokens: 40 });
      await generator.close();
      return text;
    })();
    const generator = await openWith({ rows: 4 });
    let text = '';
    for await (const piece of generator.generate({ adapter: folder, prompt: 'ab', max_tokens: 40 })) {
      if (text === '') await rename(folder, `${folder}-gone`);
      text += piece.text;
    }
    assert.equal(text, expected);
    // A generator that has loaded the adapter still answers; one that has not fails this request, and answers others.
    assert.equal(await textOf(generator, { adapter: folder, prompt: 'ab', max_tokens: 40 }), expected);
    await generator.close();
    const other = await openWith({ rows: 4 });
    await assert.rejects(textOf(other, { adapter: folder, prompt: 'ab' }));
    await textOf(other, { prompt: 'ab' });
    await other.close();
    await rename(`${folder}-gone`, folder);
  });

test('a team’s short prompt does not wait for the long prompt of another', async () => {
  const generator = await openGenerator({ base: bench.base, context: 2000, rows: 4 });
  const order: string[] = [];
  const ask = async (team: string, prompt: string) => {
    for await (const _ of generator.generate({ prompt, team, max_tokens: 1 }));
    order.push(team);
  };
  // The long one takes twenty steps of 96 positions, the short ones three each.
  await Promise.all([
    ask('long', 'and so on '.repeat(190)),
    ...[1, 2, 3].map((i) => ask('short', `${i}${'what is it '.repeat(20)}`)),
  ]);
  assert.deepEqual(order, ['short', 'short', 'short', 'long']);
  await generator.close();
});

test('a team with less than its share of the cache does not wait for the answers of another', async () => {
  // The cache holds two contexts, which the first two of the many fill.
  const blockBytes = 4096;
  const generator = await openWith({ rows: 8, cacheBytes: 2 * (CONTEXT / 16) * blockBytes });
  const ended: string[] = [];
  let began = () => {};
  const beginning = new Promise<void>((resolve) => {
    began = resolve;
  });
  const ask = async (team: string, prompt: string, max_tokens: number) => {
    let text = '';
    for await (const piece of generator.generate({ prompt, team, max_tokens })) {
      text += piece.text;
      began();
    }
    ended.push(team);
    return text;
  };
  const prompts = Array.from({ length: 6 }, (_, i) => `${i}: ${'and so on '.repeat(14)}`);
  const many = prompts.map((prompt) => ask('many', prompt, 16));
  await beginning;
  const small = ask('one', `what is it: ${'x'.repeat(40)}`, 4);
  const texts = await Promise.all([small, ...many]);
  assert.equal(ended[0], 'one');
  // Answers that were computed again are the same.
  const alone = [await ask('alone', `what is it: ${'x'.repeat(40)}`, 4)];
  for (const prompt of prompts) alone.push(await ask('alone', prompt, 16));
  assert.deepEqual(texts, alone);
  await generator.close();
});
