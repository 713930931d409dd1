/** Answers many chats at once: each answer must be the same as alone. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { usesGraftKernels } from '@graft/tf-graph';
import { fromBfloat16 } from '@graft/tf-graph/bfloat16';
import { type GenerateRequest, type Generator, type GeneratorOptions, openGenerator } from './generator.ts';
import type { LikelyTokens } from './sampling/likely-tokens.ts';
import { type AdapterBench, makeAdapterBench } from './testing/adapter-bench.ts';

const CONTEXT = 160;
const adapters: Record<string, Record<string, unknown>> = {
  lora: { peft_type: 'LORA', r: 2, target_modules: ['q_proj', 'v_proj'] },
  'dropped lora': { peft_type: 'LORA', r: 3, target_modules: 'all-linear', lora_dropout: 0.1 },
  'lora by rank': { peft_type: 'LORA', r: 20, target_modules: ['down_proj', 'lm_head'], use_rslora: true },
  prefix: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 5 },
  ia3: { peft_type: 'IA3' },
  'ia3 again': { peft_type: 'IA3' },
  oft: { peft_type: 'OFT', oft_block_size: 8, target_modules: ['q_proj'] },
  vera: { peft_type: 'VERA', r: 16, target_modules: ['q_proj', 'down_proj'], save_projection: false },
  hira: { peft_type: 'HIRA', r: 2, target_modules: ['q_proj', 'down_proj'] },
};

let bench: AdapterBench;
before(async () => {
  bench = await makeAdapterBench({
    embedding: 'model.embed_tokens.weight',
    adapters,
    line: (i) => ({ prompt: `${i}:`, completion: ` ${i % 2}` }),
  });
});
after(() => bench.close());

/** Chats of different lengths, some with common prefixes. */
const chats = (names: (string | null)[], count: number): GenerateRequest[] =>
  Array.from({ length: count }, (_, i) => ({
    adapter: bench.folderOf(names[i % names.length]!),
    prompt: `${i % 3 === 0 ? 'You are a shop that lends bikes to people. ' : ''}${'ab'.repeat((i * 7) % 40)}${i}:`,
    max_tokens: 12 + (i % 5) * 3,
    ...(i % 4 === 3 ? { temperature: 1, seed: i } : {}),
    ...(i % 4 === 1 ? { temperature: 0.8, seed: i, top_k: 9, min_p: 0.02, repetition_penalty: 1.2 } : {}),
    ...(i % 8 === 2 ? { repetition_penalty: 1.3 } : {}),
    // Log-probabilities reveal differences of a single bit.
    logprobs: 3,
    team: `team ${i % 2}`,
  }));

async function textOf(generator: Generator, request: GenerateRequest) {
  const ids: number[] = [];
  const likely: (LikelyTokens | undefined)[] = [];
  const tokens = generator.generate(request);
  let text = '';
  for (;;) {
    const next = await tokens.next();
    if (next.done) return { ids, text, likely, ...next.value };
    ids.push(next.value.tokenId);
    likely.push(next.value.likely);
    text += next.value.text;
  }
}

/** The answer without the number of cached tokens, which depends on other requests. */
const said = ({ cachedTokens: _, ...answer }: Awaited<ReturnType<typeof textOf>>) => answer;

async function alone(requests: GenerateRequest[], options: Partial<GeneratorOptions> = {}) {
  const generator = await openGenerator({ base: bench.base, context: CONTEXT, rows: 16, ...options });
  const texts = [];
  for (const [i, request] of requests.entries())
    texts.push(await textOf(generator, { ...request, team: `${i}` }));
  await generator.close();
  return texts;
}

test('16 chats over four adapters say what each says alone, token for token', async () => {
  const requests = chats(['lora', 'dropped lora', 'lora by rank', null], 16);
  const expected = await alone(requests);
  assert.ok(new Set(expected.map(({ ids }) => ids.join())).size > 8, 'they say different things');
  const generator = await openGenerator({ base: bench.base, context: CONTEXT, rows: 16 });
  const found = await Promise.all(requests.map((request) => textOf(generator, request)));
  assert.deepEqual(found.map(said), expected.map(said));
  await generator.close();
});

test('so do those of every method, on few rows and in a cache that does not hold them all', async () => {
  const requests = chats([...bench.names, null], 21);
  const expected = await alone(requests);
  const generator = await openGenerator({ base: bench.base, context: CONTEXT, rows: 5, cacheBytes: 1 });
  const found = await Promise.all(requests.map((request) => textOf(generator, request)));
  assert.deepEqual(found.map(said), expected.map(said));
  await generator.close();
});

test('a base in bfloat16, int8 or NF4 says in each of many chats what it says alone', async () => {
  const requests = chats(['lora', 'ia3', null], 9);
  const exact = (await alone(requests)).map(said);
  for (const baseDtype of ['bf16', 'int8', 'nf4'] as const) {
    const expected = (await alone(requests, { baseDtype })).map(said);
    assert.notDeepEqual(expected, exact, `${baseDtype}: the probabilities are others`);
    const generator = await openGenerator({ base: bench.base, context: CONTEXT, rows: 16, baseDtype });
    const found = await Promise.all(requests.map((request) => textOf(generator, request)));
    assert.deepEqual(found.map(said), expected, baseDtype);
    await generator.close();
  }
});

test('files that hold bfloat16 are served as bfloat16, and answers are those of float32, bit for bit', async () => {
  const { tensors } = bench.base;
  let reads = 0;
  const widened = async (name: string, out?: Float32Array) => {
    const values = fromBfloat16(await tensors.readBfloat16(name));
    out?.set(values);
    return out ?? values;
  };
  const base = {
    ...bench.base,
    tensors: {
      names: () => tensors.names(),
      has: (name: string) => tensors.has(name),
      info: (name: string) => ({ ...tensors.info(name), dtype: 'BF16' }),
      readFloat32: widened,
      readBfloat16(name: string, out?: Uint16Array) {
        reads++;
        return tensors.readBfloat16(name, out);
      },
    },
  };
  const requests = chats(['lora', 'ia3', null], 6);
  const expected = await alone(requests, { base, baseDtype: 'fp32' });
  assert.equal(reads, 0);
  assert.deepEqual((await alone(requests, { base })).map(said), expected.map(said));
  if (usesGraftKernels()) assert.ok(reads > 0, 'the weights are read as bfloat16');
});

test('a prompt that was read before is known to its team and adapter alone, and changes no text', async () => {
  const generator = await openGenerator({ base: bench.base, context: CONTEXT, rows: 4 });
  const prompt = 'You are a shop that lends bikes to people. 1:';
  const ask = (adapter: string | null, team: string) =>
    textOf(generator, { adapter: bench.folderOf(adapter), prompt, max_tokens: 8, team, logprobs: 2 });
  const first = await ask('lora', 'a');
  assert.deepEqual([first.promptTokens, first.cachedTokens], [45, 0]);
  assert.deepEqual(await ask('lora', 'a'), { ...first, cachedTokens: 32 });
  for (const [adapter, team] of [
    ['lora', 'b'],
    ['dropped lora', 'a'],
    [null, 'a'],
  ] as const)
    assert.equal((await ask(adapter, team)).cachedTokens, 0, `${adapter} of ${team}`);
  // A prefix's positions come first, and do not belong to the prompt.
  const prefixed = await ask('prefix', 'a');
  assert.equal(prefixed.cachedTokens, 0);
  assert.deepEqual(await ask('prefix', 'a'), { ...prefixed, cachedTokens: 48 - 5 });
  await generator.close();
});

test('eight answers to one prompt read it once, and say what each says alone, probabilities too', async () => {
  const prompt = `${'You are a shop that lends bikes to people. '.repeat(2)}1:`;
  const free = Array.from({ length: 8 }, (_, seed) => ({
    adapter: bench.folderOf('lora'),
    prompt,
    max_tokens: 24,
    temperature: 1,
    seed,
    logprobs: 20,
  }));
  const texts = (await alone(free)).map(({ text }) => text);
  assert.equal(new Set(texts).size, 8, 'they say different things');
  // A token of this model is a byte: each answer stops at a string of several tokens.
  const answers = free.map((answer, i) => ({ ...answer, stop: [texts[i]!.slice(4 + i, 7 + i)] }));
  const expected = await alone(answers);
  for (const [i, { text, finishReason }] of expected.entries()) {
    assert.equal(text, texts[i]!.slice(0, texts[i]!.indexOf(answers[i]!.stop[0]!)));
    assert.equal(finishReason, 'stop');
  }
  for (const rows of [16, 3]) {
    const generator = await openGenerator({ base: bench.base, context: CONTEXT, rows });
    const found = await Promise.all(answers.map((answer) => textOf(generator, answer)));
    assert.deepEqual(found.map(said), expected.map(said));
    // Five full blocks of 16; each answer computes the positions after them.
    assert.deepEqual(
      found.map(({ cachedTokens }) => cachedTokens).toSorted((a, b) => a - b),
      [0, ...Array(7).fill(80)],
    );
    await generator.close();
  }
});

test('an answer aborted while others wait for the prefix it computes blocks none of them', async () => {
  const generator = await openGenerator({ base: bench.base, context: CONTEXT, rows: 4 });
  const prompt = `${'a'.repeat(120)}:`;
  const expected = await textOf(generator, { prompt, max_tokens: 5, team: 'before' });
  const leaving = new AbortController();
  const first = textOf(generator, { prompt, max_tokens: 5, signal: leaving.signal });
  const others = [1, 2, 3].map(() => textOf(generator, { prompt, max_tokens: 5 }));
  // By then the first has computed 64 of 121 positions.
  await new Promise((resolve) => setImmediate(resolve));
  leaving.abort(new Error('gone'));
  await assert.rejects(first, /gone/);
  for (const { ids } of await Promise.all(others)) assert.deepEqual(ids, expected.ids);
  await generator.close();
});

test('returns log-probabilities, and ends immediately when it is aborted or closed', async () => {
  const generator = await openGenerator({ base: bench.base, context: CONTEXT, rows: 4 });
  const request = { prompt: 'ab', max_tokens: 3, logprobs: 3 };
  let tokens = 0;
  for await (const { tokenId, likely } of generator.generate(request)) {
    if (tokenId === -1) continue;
    tokens++;
    const [first, second, third] = likely!.top;
    assert.ok(first!.logprob <= 0 && first!.logprob >= second!.logprob && second!.logprob >= third!.logprob);
    assert.deepEqual(first, { token: likely!.token, logprob: likely!.logprob }, 'greedy takes the likeliest');
  }
  assert.equal(tokens, 3);
  const leaving = new AbortController();
  const left = generator.generate({ prompt: 'ab', signal: leaving.signal });
  await left.next();
  leaving.abort(new Error('gone'));
  await assert.rejects(async () => {
    for await (const _ of left);
  }, /gone/);
  const cut = generator.generate({ prompt: 'ab' });
  await cut.next();
  await generator.close();
  await assert.rejects(async () => {
    for await (const _ of cut);
  }, /closed/);
});
