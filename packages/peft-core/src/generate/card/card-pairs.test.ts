/** Encoder-decoders with GPU layout give the same answers as with CPU layout. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { layingOutFor } from '../../nn/computation.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { type GenerateRequest, openGenerator } from '../generator.ts';
import { type AdapterBench, CONTEXT, makeAdapterBench } from '../testing/adapter-bench.ts';

const pairs = { task_type: 'SEQ_2_SEQ_LM' };
let bench: AdapterBench;
before(async () => {
  bench = await makeAdapterBench({
    config: tinyFamilies.t5,
    embedding: 'shared.weight',
    adapters: {
      lora: { ...pairs, peft_type: 'LORA', r: 2, target_modules: ['q', 'wo'] },
      prompt: { ...pairs, peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3 },
      prefix: { ...pairs, peft_type: 'PREFIX_TUNING', num_virtual_tokens: 4 },
    },
    line: (i) => ({ text: `${i}:`, target: `${i % 2}` }),
  });
});
after(() => bench.close());

test('pairs of every adapter at once, in a cache that does not hold them all', async () => {
  const requests = [null, 'lora', 'prefix', 'prompt', 'lora'].map((name, i) => ({
    adapter: bench.folderOf(name),
    prompt: `${'ab'.repeat(i * 3)}${i}:`,
    max_tokens: 8,
    ...(i % 2 === 0 ? { temperature: 1, seed: i, top_p: 0.9 } : {}),
  }));
  const answer = async () => {
    const limits = { context: CONTEXT, rows: 3, cacheBytes: 1, baseDtype: 'fp32' } as const;
    const generator = await openGenerator({ base: bench.base, ...limits });
    const idsOf = async (request: GenerateRequest) => {
      const ids: number[] = [];
      for await (const { tokenId } of generator.generate(request)) ids.push(tokenId);
      return ids;
    };
    const all = await Promise.all(requests.map(idsOf));
    await generator.close();
    return all;
  };
  const expected = await answer();
  assert.ok(new Set(expected.map((ids) => ids.join())).size > 2, 'they say different things');
  assert.deepEqual(await layingOutFor('gpu', answer), expected);
});
