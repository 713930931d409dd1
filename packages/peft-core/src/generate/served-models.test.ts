import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { architectureFor } from '../models/registry.ts';
import { openGenerator } from './generator.ts';
import { ServedModels } from './served-models.ts';
import {
  type AdapterBench,
  CONTEXT,
  checkTurns,
  logProbability,
  makeAdapterBench,
} from './testing/adapter-bench.ts';
import { limitsFor } from './testing/one-sequence.ts';

const adapters: Record<string, Record<string, unknown>> = {
  lora: { peft_type: 'LORA', r: 2, target_modules: ['q_proj'] },
  'another lora of that shape': { peft_type: 'LORA', r: 2, target_modules: ['q_proj'] },
  'a wider lora': {
    peft_type: 'LORA',
    r: 3,
    target_modules: ['q_proj', 'down_proj'],
    modules_to_save: ['norm'],
  },
  prompt: { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3 },
  encoder: { peft_type: 'P_TUNING', num_virtual_tokens: 5 },
  prefix: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 4 },
  'another prefix of that length': {
    peft_type: 'PREFIX_TUNING',
    num_virtual_tokens: 4,
    prefix_projection: true,
  },
  ia3: { peft_type: 'IA3' },
  norms: { peft_type: 'LN_TUNING' },
  tokens: { peft_type: 'TRAINABLE_TOKENS', token_indices: [48, 49, 58] },
  selective: { peft_type: 'SELECTIVE', kinds: ['norm', 'embedding', 'head'] },
  vera: { peft_type: 'VERA', r: 6, target_modules: ['q_proj', 'down_proj'] },
  'another vera of that key': { peft_type: 'VERA', r: 6, target_modules: ['q_proj', 'down_proj'] },
  'a vera without its projections': {
    peft_type: 'VERA',
    r: 6,
    target_modules: ['q_proj', 'down_proj'],
    save_projection: false,
  },
  'a vera of another key': {
    peft_type: 'VERA',
    r: 6,
    target_modules: ['q_proj', 'down_proj'],
    projection_prng_key: 7,
  },
  bottleneck: { peft_type: 'BOTTLENECK', preset: 'double_seq_bn', reduction_factor: 4 },
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

const ids = Array.from({ length: 40 }, (_, i) => (i * 37 + 11) % 256);

test('every adapter answers as it scores, in any order, on a base that is loaded once', async () => {
  const first = 5;
  await checkTurns(bench, { input_ids: ids }, first - 1, (begin, virtual) => {
    const sequence = begin();
    const logits = [sequence.append([...virtual, ...ids.slice(0, first)])];
    for (const id of ids.slice(first, -1)) logits.push(sequence.append([id]));
    return logits.map((one, i) => logProbability(one, ids[first + i]!));
  });
});

test('at the limit of shapes the base is loaded again, once what is in use ends', async () => {
  const architecture = architectureFor(bench.base.modelType, bench.base.config);
  const limits = { most: 2, teamLimit: 2, wait: 600_000 };
  const models = new ServedModels(bench.base, architecture, limitsFor(CONTEXT), limits);
  bench.loads = 0;
  try {
    const held = [];
    for (const name of ['prompt', 'prefix']) held.push(await models.use(bench.folderOf(name)));
    assert.deepEqual([models.shapes, bench.loads], [2, 1]);
    const third = models.use(bench.folderOf('ia3'));
    for (const served of held) served.release();
    await (await third).ready();
    assert.deepEqual([models.shapes, bench.loads], [1, 2]);
    const again = await models.use(bench.folderOf('prompt'));
    await again.ready();
    assert.deepEqual([models.shapes, bench.loads], [2, 2]);
  } finally {
    await models.close();
  }
});

test('an adapter that cannot be used leaves the others as they were', async () => {
  const generator = await openGenerator({ base: bench.base, ...limitsFor(CONTEXT) });
  const answer = async (adapter: string | null) => {
    let text = '';
    for await (const next of generator.generate({ adapter, prompt: '1:', max_tokens: 6 })) text += next.text;
    return text;
  };
  const before = await answer(bench.folderOf('prefix'));
  await assert.rejects(answer(bench.folderOf('nowhere')), { code: 'invalid_adapter' });
  assert.equal(await answer(bench.folderOf('prefix')), before);
  await generator.close();
});

test("an adapter's own positions count towards the context", async () => {
  // The tiny tokenizer has a token for each byte.
  const generator = await openGenerator({ base: bench.base, ...limitsFor(CONTEXT) });
  const ask = async (name: string | null, prompt: string, max_tokens: number) => {
    for await (const _ of generator.generate({ adapter: bench.folderOf(name), prompt, max_tokens }));
  };
  for (const [name, leading] of [
    ['prompt', 3],
    ['prefix', 4],
  ] as const) {
    await ask(name, 'x'.repeat(CONTEXT - leading - 1), 10);
    await assert.rejects(ask(name, 'x'.repeat(CONTEXT - leading), 1), {
      code: 'context_length_exceeded',
      param: 'prompt',
      message: new RegExp(`has ${CONTEXT - leading} tokens and the adapter ${leading} virtual ones`),
    });
  }
  await ask(null, 'x'.repeat(CONTEXT - 1), 1);
  await generator.close();
});
