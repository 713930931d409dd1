/** Runs graphs with GPU layout on a CPU: their answers must equal those with CPU layout. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { recordFunctions } from '@graft/tf-graph';
import { layingOutFor } from '../../nn/computation.ts';
import { type GenerateRequest, type Generator, type GeneratorOptions, openGenerator } from '../generator.ts';
import type { LikelyTokens } from '../sampling/likely-tokens.ts';
import { type AdapterBench, makeAdapterBench } from '../testing/adapter-bench.ts';

const CONTEXT = 160;
const adapters: Record<string, Record<string, unknown>> = {
  lora: { peft_type: 'LORA', r: 2, target_modules: ['q_proj', 'v_proj'] },
  'dropped lora': { peft_type: 'LORA', r: 3, target_modules: 'all-linear', lora_dropout: 0.1 },
  'lora by rank': { peft_type: 'LORA', r: 20, target_modules: ['down_proj', 'lm_head'], use_rslora: true },
  prefix: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 5 },
  prompt: { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3 },
  ia3: { peft_type: 'IA3' },
  'ia3 again': { peft_type: 'IA3' },
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

interface Answer {
  ids: number[];
  text: string;
  likely: (LikelyTokens | undefined)[];
  finishReason: string;
}

async function answer(generator: Generator, request: GenerateRequest): Promise<Answer> {
  const answered: Answer = { ids: [], text: '', likely: [], finishReason: '' };
  const tokens = generator.generate(request);
  for (;;) {
    const next = await tokens.next();
    if (next.done) return { ...answered, finishReason: next.value.finishReason };
    answered.ids.push(next.value.tokenId);
    answered.likely.push(next.value.likely);
    answered.text += next.value.text;
  }
}

type Options = Omit<GeneratorOptions, 'base'>;
async function answersOf(
  options: Options,
  requests: GenerateRequest[],
  together: boolean,
): Promise<Answer[]> {
  const generator = await openGenerator({ base: bench.base, context: CONTEXT, rows: 16, ...options });
  try {
    if (together) return await Promise.all(requests.map((request) => answer(generator, request)));
    const all: Answer[] = [];
    for (const [i, request] of requests.entries())
      all.push(await answer(generator, { ...request, team: `${i}` }));
    return all;
  } finally {
    await generator.close();
  }
}

const onCard = (options: Options, requests: GenerateRequest[], together: boolean) =>
  layingOutFor('gpu', () => answersOf({ baseDtype: 'fp32', ...options }, requests, together));

function same(found: Answer[], expected: Answer[]): void {
  for (const [i, { likely, ...rest }] of expected.entries()) {
    const { likely: ownLikely, ...own } = found[i]!;
    assert.deepEqual(own, rest, `answer ${i}`);
    for (const [at, expectedToken] of likely.entries()) {
      assert.equal(ownLikely[at]?.token, expectedToken?.token);
      const numbers = (one: LikelyTokens | undefined) =>
        one ? [one.logprob, ...one.top.map(({ logprob }) => logprob)] : [];
      const [a, b] = [numbers(ownLikely[at]), numbers(expectedToken)];
      assert.equal(a.length, b.length);
      for (const [n, x] of a.entries()) assert.ok(Math.abs(x - b[n]!) < 1e-5, `${x} and ${b[n]}`);
    }
  }
}

/** Chats of different lengths, some with common prefixes. */
const chats = (names: (string | null)[], count: number): GenerateRequest[] =>
  Array.from({ length: count }, (_, i) => ({
    adapter: bench.folderOf(names[i % names.length]!),
    prompt: `${i % 3 === 0 ? 'You are a shop that lends bikes to people. ' : ''}${'ab'.repeat((i * 7) % 40)}${i}:`,
    max_tokens: 12 + (i % 5) * 3,
    ...(i % 4 === 3 ? { temperature: 1, seed: i } : {}),
    ...(i % 4 === 1 ? { temperature: 0.8, seed: i, top_k: 9, min_p: 0.02, repetition_penalty: 1.2 } : {}),
    ...(i % 8 === 2 ? { repetition_penalty: 1.3 } : {}),
    ...(i % 8 === 7 ? { top_p: 0.9 } : {}),
    // With 260 about equally probable tokens, this needs more candidates than a step sorts.
    ...(i % 8 === 3 ? { top_p: 0.999, logprobs: 2 } : {}),
    ...(i % 2 === 0 ? { logprobs: i % 3 } : {}),
    team: `team ${i % 2}`,
  }));

test('answers of every method alone and together, on many rows and few, are those of a processor', async () => {
  const requests = chats([...Object.keys(adapters), null], 24);
  const expected = await answersOf({}, requests, false);
  assert.ok(new Set(expected.map(({ ids }) => ids.join())).size > 12, 'they say different things');
  same(await onCard({}, requests, false), expected);
  const functions = await recordFunctions(async () => same(await onCard({}, requests, true), expected));
  assert.ok(functions.some(({ name }) => name.startsWith('sort_all_')));
  same(await onCard({ rows: 5, cacheBytes: 1 }, requests, true), expected);
});
