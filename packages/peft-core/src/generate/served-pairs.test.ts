/** An encoder-decoder that stays loaded while its adapters change; adapter-switch.test.ts has the decoders. */
import { after, before, test } from 'node:test';
import { tinyFamilies } from '../testing/tiny-families.ts';
import { type AdapterBench, checkTurns, logProbability, makeAdapterBench } from './testing/adapter-bench.ts';

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
