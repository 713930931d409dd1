/** Adapters with finite values so large that their logits are not finite, beside others: only their own answers fail. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { useKernels } from '@graft/tf-graph';
import { parsePeftConfig } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import { type BaseModel, openBaseModel, writeAdapter } from '../files.ts';
import { Random } from '../random.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { fileTensorsFor } from '../tuners/check.ts';
import { type GenerateRequest, openGenerator } from './generator.ts';

/** Near the float32 maximum, 3.4e38: products and sums of such numbers are infinite, and results computed from them NaN. */
const HUGE = 3e38;

const honest = {
  lora: { peft_type: 'LORA', r: 2, target_modules: ['q_proj', 'v_proj'] },
  ia3: { peft_type: 'IA3' },
  prefix: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 5 },
};
const poisoned = {
  'huge lora': { peft_type: 'LORA', r: 2, target_modules: 'all-linear' },
  'huge head': { peft_type: 'LORA', r: 2, target_modules: ['lm_head'] },
  'huge ia3': { peft_type: 'IA3' },
  'huge prefix': { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 5 },
  'huge prompt': { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3 },
};

let root: string;
let base: BaseModel;
before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-non-finite-'));
  await writeTinyModel(path.join(root, 'model'));
  base = await openBaseModel(path.join(root, 'model'));
  for (const [name, fields] of Object.entries(honest)) await write(name, fields, 0.3);
  for (const [name, fields] of Object.entries(poisoned)) await write(name, fields, HUGE);
});
after(async () => {
  useKernels();
  await base.close();
  await rm(root, { recursive: true });
});

async function write(name: string, fields: Record<string, unknown>, scale: number): Promise<void> {
  const peft = parsePeftConfig(fields);
  const tensors = new Map(
    fileTensorsFor(peft, base.config).map(({ key, shape }, part) => {
      const random = new Random(1, 'test', part);
      const data = Float32Array.from({ length: shape.reduce((size, n) => size * n, 1) }, () =>
        Math.max(-HUGE, Math.min(HUGE, scale * random.normal())),
      );
      return [key, { shape, data }];
    }),
  );
  const card = { steps: 1, trainedTokens: 1, finalLoss: 1, validationLoss: null };
  await writeAdapter(path.join(root, name), { peft, baseModelNameOrPath: 'tiny', tensors, card });
}

const folderOf = (name: string | null) => name && path.join(root, name);
const ways = [
  { temperature: 0 },
  { temperature: 1, top_p: 0.9 },
  { temperature: 0.7 },
  { temperature: 1, top_p: 0.5, logprobs: 3 },
];

/** Fifteen chats of two teams with the base and the intact adapters. */
const fifteenChats = () =>
  Array.from({ length: 15 }, (_, i): GenerateRequest => {
    const names = [null, ...Object.keys(honest)];
    return {
      adapter: folderOf(names[i % names.length]!),
      prompt: `${i % 3 === 0 ? 'You are a shop that lends bikes to people. ' : ''}${'ab'.repeat((i * 7) % 30)}${i}:`,
      max_tokens: 10 + (i % 5) * 3,
      seed: i,
      team: `team ${i % 2}`,
      ...ways[i % ways.length],
    };
  });

for (const implementation of ['auto', 'stock'])
  test(`fifteen chats beside them give what they give without them (kernels: ${implementation})`, async () => {
    useKernels(implementation);
    // The cache holds only a few sequences at a time, so blocks are reused often, also after poisoned sequences.
    const generator = await openGenerator({ base, context: 160, rows: 6, cacheBytes: 1 });
    const answer = async (request: GenerateRequest) => {
      const pieces: unknown[] = [];
      for await (const { text, tokenId, likely } of generator.generate(request))
        pieces.push([text, tokenId, likely?.logprob.toPrecision(4)]);
      return pieces;
    };
    const chats = fifteenChats();
    try {
      const expected = [];
      for (const [i, chat] of chats.entries()) expected.push(await answer({ ...chat, team: `alone ${i}` }));
      const poisonings = Object.keys(poisoned).flatMap((name) =>
        ways.map(async (way) => {
          // The same prefix as that of intact chats of its team.
          const prompt = 'You are a shop that lends bikes to people. 1:';
          const asked = { ...way, adapter: folderOf(name), adapterName: name, prompt, team: 'team 0' };
          return [name, await answer(asked).catch((error: unknown) => error)] as const;
        }),
      );
      assert.deepEqual(await Promise.all(chats.map(answer)), expected);
      for (const [name, given] of await Promise.all(poisonings)) {
        // Norms turn huge embeddings into finite numbers again.
        if (name === 'huge prompt') continue;
        assert.ok(given instanceof GraftError, `${name} answers`);
        assert.deepEqual([given.code, given.fault, given.param], ['non_finite_logits', 'user', 'model']);
        assert.ok(given.message.includes(`the adapter ${name} `), given.message);
      }
      assert.deepEqual(await Promise.all(chats.map(answer)), expected, 'in blocks that they have used');
    } finally {
      await generator.close();
    }
  });
