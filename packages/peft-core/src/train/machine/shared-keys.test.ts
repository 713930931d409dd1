/** Tests training and answers of models whose layers attend to keys and values of other layers, or whose keys are values. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { kernelSets, useKernels } from '@graft/tf-graph';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { openGenerator } from '../../generate/generator.ts';
import { layingOutFor } from '../../nn/computation.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { trainAdapter, trainOptions } from '../../testing/train-adapter.ts';

const models = {
  'of other layers': tinyFamilies.gemma4_text,
  'that are values': tinyFamilies.gemma4_text_dense,
};
const methods = {
  'every linear layer': {
    peft_type: 'LORA',
    r: 2,
    target_modules: 'all-linear',
    modules_to_save: ['input_layernorm'],
  },
  norms: { peft_type: 'LN_TUNING', target_modules: ['input_layernorm', 'k_norm', 'norm'] },
};

let root: string;
const bases = new Map<string, BaseModel>();
const at = (...names: string[]) => path.join(root, ...names);

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-shared-keys-'));
  for (const [name, config] of Object.entries(models)) {
    await writeTinyModel(at(name), config);
    bases.set(name, await openBaseModel(at(name)));
  }
  const lines = Array.from({ length: 16 }, (_, i) =>
    JSON.stringify({ prompt: `${'ab'.repeat(i % 5)}${i}:`, completion: ` ${i % 3}` }),
  );
  await writeFile(at('train.jsonl'), lines.join('\n'));
});
after(async () => {
  useKernels('auto');
  for (const base of bases.values()) await base.close();
  await rm(root, { recursive: true });
});

const trained = (
  base: BaseModel,
  peft: Record<string, unknown>,
  name: string,
  training: Record<string, unknown> = {},
) =>
  trainAdapter(
    trainOptions({
      base,
      trainingFile: at('train.jsonl'),
      exampleCount: 16,
      peft,
      training: { max_steps: 6, learning_rate: 0.01, batch_size: 4, precision: 'fp32', ...training },
      outputDir: at(name),
    }),
  );
const distance = (a: number[], b: number[]) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));

for (const name of Object.keys(models))
  for (const [method, peft] of Object.entries(methods))
    test(`keys ${name}, ${method}: blocks that are computed again have the same losses`, async () => {
      const base = bases.get(name)!;
      const { losses } = await trained(base, peft, 'kernels');
      assert.equal(losses.length, 6);
      assert.ok(new Set(losses).size > 1, `${losses}`);
      const again = await trained(base, peft, 'checkpointed', { gradient_checkpointing: true });
      assert.ok(distance(again.losses, losses) < 1e-5, `${again.losses} and ${losses}`);
      useKernels('stock');
      const stock = await trained(base, peft, 'stock', { gradient_checkpointing: true });
      useKernels('auto');
      assert.ok(distance(stock.losses, losses) < 1e-4, `${stock.losses} and ${losses}`);
    });

for (const name of Object.keys(models)) {
  const served = async (options: { adapterDir: string; onCard: boolean }) => {
    const requests = Array.from({ length: 9 }, (_, i) => ({
      adapter: i % 2 ? options.adapterDir : null,
      // Some begin alike.
      prompt: `${i % 3 === 0 ? 'You lend bikes to people who ask. ' : ''}${'ab'.repeat((i * 7) % 20)}${i}:`,
      max_tokens: 8,
      logprobs: 3,
      team: 'one',
    }));
    const answersOf = async (together: boolean) => {
      const generator = await openGenerator({
        base: bases.get(name)!,
        context: 96,
        rows: 8,
        baseDtype: 'fp32',
      });
      const answer = async (i: number) => {
        const tokens = [];
        const request = together ? requests[i]! : { ...requests[i]!, team: `${i}` };
        for await (const { tokenId, likely } of generator.generate(request)) tokens.push({ tokenId, likely });
        return tokens;
      };
      try {
        if (together) return await Promise.all([...requests.keys()].map(answer));
        const all = [];
        for (const i of requests.keys()) all.push(await answer(i));
        return all;
      } finally {
        await generator.close();
      }
    };
    const both = async () => [await answersOf(false), await answersOf(true)] as const;
    return options.onCard ? await layingOutFor('gpu', both) : await both();
  };

  test(`keys ${name}: chats are answered together as alone, on the base and an adapter, on each kind of cache`, {
    skip: kernelSets()[0] === 'stock',
  }, async () => {
    const { adapterDir } = (await trained(bases.get(name)!, methods['every linear layer'], 'served')).done;
    const [alone, together] = await served({ adapterDir, onCard: false });
    assert.deepEqual(together, alone);
    assert.ok(new Set(alone.map((tokens) => JSON.stringify(tokens))).size > 4);
    const ids = (all: typeof alone) => all.map((tokens) => tokens.map(({ tokenId }) => tokenId));
    const [onCard, onCardTogether] = await served({ adapterDir, onCard: true });
    assert.deepEqual(ids(onCard), ids(alone));
    assert.deepEqual(ids(onCardTogether), ids(alone));
  });
}
