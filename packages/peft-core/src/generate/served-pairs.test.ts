/** An encoder-decoder that stays loaded while its adapters change; adapter-switch.test.ts tests decoders. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { tinyFamilies } from '../testing/tiny-families.ts';
import { openGenerator } from './generator.ts';
import {
  type AdapterBench,
  CONTEXT,
  checkTurns,
  logProbability,
  makeAdapterBench,
} from './testing/adapter-bench.ts';

const pairs = { task_type: 'SEQ_2_SEQ_LM' };
const adapters: Record<string, Record<string, unknown>> = {
  lora: { ...pairs, peft_type: 'LORA', r: 2, target_modules: ['q', 'wo'] },
  'another lora of that shape': { ...pairs, peft_type: 'LORA', r: 2, target_modules: ['q', 'wo'] },
  ia3: { ...pairs, peft_type: 'IA3' },
  norms: { ...pairs, peft_type: 'LN_TUNING', target_modules: ['layer_norm'] },
  tokens: { ...pairs, peft_type: 'TRAINABLE_TOKENS', token_indices: [48, 49, 58] },
  selective: { ...pairs, peft_type: 'SELECTIVE', kinds: ['norm', 'head'] },
  bottleneck: {
    ...pairs,
    peft_type: 'BOTTLENECK',
    preset: 'double_seq_bn',
    reduction_factor: 4,
    cross_adapter: true,
  },
  prompt: { ...pairs, peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3 },
  encoder: { ...pairs, peft_type: 'P_TUNING', num_virtual_tokens: 5 },
  prefix: { ...pairs, peft_type: 'PREFIX_TUNING', num_virtual_tokens: 4 },
};

let bench: AdapterBench;
before(async () => {
  bench = await makeAdapterBench({
    config: tinyFamilies.t5,
    embedding: 'shared.weight',
    adapters,
    line: (i) => ({ text: `${i}:`, target: `${i % 2}` }),
  });
});
after(() => bench.close());

const ids = Array.from({ length: 20 }, (_, i) => (i * 37 + 11) % 256);
const labels = Array.from({ length: 15 }, (_, i) => (i * 53 + 48) % 256);

test('every adapter answers as it scores, in any order, on a base that is loaded once', async () => {
  await checkTurns(bench, { input_ids: ids, labels }, 0, (begin, virtual) => {
    const sequence = begin([...virtual, ...ids]);
    const given = [258, ...labels.slice(0, -1)];
    return given.map((id, i) => logProbability(sequence.append([id]), labels[i]!));
  });
});

test('answers of every adapter at once are those that each gives alone', async () => {
  const requests = [null, 'lora', 'prefix', 'prompt', 'lora'].map((name, i) => ({
    adapter: bench.folderOf(name),
    prompt: `${'ab'.repeat(i * 3)}${i}:`,
    max_tokens: 6,
  }));
  const generator = await openGenerator({ base: bench.base, context: CONTEXT, rows: 3, cacheBytes: 1 });
  const idsOf = async (request: (typeof requests)[number]) => {
    const ids: number[] = [];
    for await (const { tokenId } of generator.generate(request)) ids.push(tokenId);
    return ids;
  };
  const alone: number[][] = [];
  for (const request of requests) alone.push(await idsOf(request));
  assert.deepEqual(await Promise.all(requests.map((request) => idsOf(request))), alone);
  assert.ok(new Set(alone.map((ids) => ids.join())).size > 1, 'they say different things');
  await generator.close();
});
