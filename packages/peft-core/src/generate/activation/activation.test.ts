/** Adapters that are active from an invocation on share what the base model computed before it, and no bit of an answer changes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { usesGraftKernels } from '@graft/tf-graph';
import { scoreTexts } from '../../index.ts';
import { type GenerateRequest, type Generator, type GeneratorOptions, openGenerator } from '../generator.ts';
import type { LikelyTokens } from '../sampling/likely-tokens.ts';
import { type AdapterBench, makeAdapterBench } from '../testing/adapter-bench.ts';

const CONTEXT = 192;
/** A token of the model is a byte. */
const idsOf = (text: string) => [...Buffer.from(text)];
const active = (r: number, target_modules: unknown, invocation: string) => ({
  peft_type: 'LORA',
  r,
  target_modules,
  alora_invocation_tokens: idsOf(invocation),
});
const adapters: Record<string, Record<string, unknown>> = {
  judge: active(3, 'all-linear', '!>'),
  writer: active(2, ['q_proj', 'v_proj', 'down_proj'], '!>'),
  critic: active(2, ['k_proj'], ':'),
  lora: { peft_type: 'LORA', r: 2, target_modules: ['q_proj', 'v_proj'] },
};

let bench: AdapterBench;
before(async () => {
  bench = await makeAdapterBench({
    embedding: 'model.embed_tokens.weight',
    adapters,
    line: (i) => ({ prompt: `${i}!>:`, completion: ` ${i % 2}` }),
  });
});
after(() => bench.close());

async function answer(generator: Generator, { adapter = null, ...request }: GenerateRequest) {
  const ids: number[] = [];
  const likely: (LikelyTokens | undefined)[] = [];
  const asked = { max_tokens: 10, logprobs: 3, ...request, adapter: bench.folderOf(adapter) };
  const tokens = generator.generate(asked);
  for (;;) {
    const next = await tokens.next();
    if (next.done) return { ids, likely, ...next.value };
    ids.push(next.value.tokenId);
    likely.push(next.value.likely);
  }
}

/**
 * The answer without the number of cached tokens, which depends on other requests. With stock operations the size of a piece decides the
 * last bits, and so does what was cached before it.
 */
function said({ cachedTokens: _, likely, ...rest }: Awaited<ReturnType<typeof answer>>) {
  return { ...rest, ...(usesGraftKernels() ? { likely } : {}) };
}

const open = (options: Partial<GeneratorOptions> = {}) =>
  openGenerator({ base: bench.base, context: CONTEXT, rows: 16, ...options });

async function alone(requests: GenerateRequest[], options: Partial<GeneratorOptions> = {}) {
  const generator = await open(options);
  const found = [];
  for (const [i, request] of requests.entries())
    found.push(await answer(generator, { ...request, team: `${i}` }));
  await generator.close();
  return found;
}

const story = 'You are a shop that lends bikes to people, and it rains outside';
const prompts = [
  `${story}. Is it wet? !>`,
  `${story} !> so`,
  `${story}. !> Is it wet? !>:`,
  `${'ab'.repeat(24)}!> ${'cd'.repeat(30)}`,
  '!> at once',
  `${story}. Nobody asks.`,
];
const names = [null, ...Object.keys(adapters)];
const requests = prompts.flatMap((prompt) => names.map((adapter) => ({ adapter, prompt, team: 'one' })));

test('answers among others, with what others computed, are those of each alone, probabilities too', async () => {
  const expected = (await alone(requests)).map(said);
  for (const options of [{}, { rows: 3 }, { cacheBytes: 1 }] as const) {
    const generator = await open(options);
    const together = await Promise.all(requests.map((request) => answer(generator, request)));
    assert.deepEqual(together.map(said), expected, JSON.stringify(options));
    // Once more, in another order, with whatever is cached.
    for (const i of [...requests.keys()].reverse())
      assert.deepEqual(said(await answer(generator, requests[i]!)), expected[i], `request ${i}`);
    await generator.close();
  }
});

test('without an invocation an adapter says what the base says', async () => {
  const prompt = prompts.at(-1)!;
  const [base, ...others] = await alone([null, 'judge', 'writer'].map((adapter) => ({ adapter, prompt })));
  for (const other of others) assert.deepEqual(said(other), said(base!));
  const [plain, judge] = await alone([null, 'judge'].map((adapter) => ({ adapter, prompt: prompts[0]! })));
  assert.notDeepEqual(judge!.likely, plain!.likely);
});

test('what the base computed before the invocation serves every adapter, in both directions', async () => {
  if (!usesGraftKernels()) return;
  const generator = await open();
  const prompt = `${story}. Is it wet? !>`;
  const before = Math.floor(prompt.indexOf('!>') / 16) * 16;
  assert.ok(before >= 64);
  const cached = async (adapter: string | null, given: string, team = 'one') =>
    (await answer(generator, { adapter, prompt: given, team })).cachedTokens;
  assert.equal(await cached(null, prompt), 0);
  assert.equal(await cached('judge', prompt), before);
  assert.equal(await cached('writer', prompt), before);
  assert.equal(await cached('lora', prompt), 0, 'a LoRA is active from the beginning');
  assert.equal(await cached('judge', prompt, 'another'), 0, 'another team');
  const other = `Once more: ${prompt}`;
  assert.equal(await cached('writer', other), 0);
  assert.equal(await cached(null, other), Math.floor(other.indexOf('!>') / 16) * 16);
  // A later invocation: until there the base answers, although the adapter has computed some of it.
  const longer = `${prompt} ${'yes '.repeat(12)}!>`;
  assert.equal(await cached('judge', longer), Math.floor((prompt.length - 2) / 16) * 16);
  assert.equal(await cached(null, longer), Math.floor(longer.lastIndexOf('!>') / 16) * 16);
  // The same again shares the active part as well.
  assert.equal(await cached('judge', longer), Math.floor((longer.length - 1) / 16) * 16);
  await generator.close();
});

test('a prompt that the base and two adapters ask at once is computed once until the invocation', async () => {
  if (!usesGraftKernels()) return;
  const generator = await open();
  const prompt = `${'ab'.repeat(60)}!>:`;
  const found = await Promise.all(
    [null, 'judge', 'writer'].map((adapter) => answer(generator, { adapter, prompt, team: 'one' })),
  );
  assert.deepEqual(
    found.map(({ cachedTokens }) => cachedTokens),
    [0, 112, 112],
  );
  await generator.close();
});

test('log-probabilities are those of scores, with the adapter among the shared ones or by itself', async () => {
  for (const adapter of ['judge', 'critic']) {
    const own = requests.filter((request) => request.adapter === adapter);
    const [shared, apart] = [await alone(own), await alone(own, { updateBytes: 0 })];
    const inputs = shared.map(({ ids }, i) => [...idsOf(own[i]!.prompt), ...ids.filter((id) => id >= 0)]);
    const scores: number[][] = [];
    const input = inputs.map((ids) => ({ input_ids: ids }));
    for await (const score of scoreTexts({ base: bench.base, adapterDir: bench.folderOf(adapter), input }))
      scores.push((score as { logprobs: number[] }).logprobs);
    for (const [i, { ids, likely }] of shared.entries()) {
      assert.deepEqual(apart[i]!.ids, ids);
      // An invocation in the answer moves the activation of a score, as in PEFT.
      if (idsOf('!>:').some((id) => ids.includes(id))) continue;
      const wanted = scores[i]!.slice(own[i]!.prompt.length - 1);
      for (const found of [likely, apart[i]!.likely])
        for (const [j, each] of found.entries())
          if (each) assert.ok(Math.abs(each.logprob - wanted[j]!) < 1e-4, `${adapter} on ${own[i]!.prompt}`);
    }
  }
});
