/** Tests training and answers of a model with experts, whose config asks for the loss that balances them. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { kernelSets, useKernels } from '@graft/tf-graph';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { openGenerator } from '../../generate/generator.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { trainAdapter, trainOptions } from '../../testing/train-adapter.ts';

for (const type of ['qwen3_moe', 'gpt_oss'] as const) {
  describe(type, () => {
    let root: string;
    let base: BaseModel;
    const at = (...names: string[]) => path.join(root, ...names);
    const peft = {
      peft_type: 'LORA',
      r: 2,
      target_modules: ['q_proj', 'v_proj'],
      target_parameters: ['mlp.experts.gate_up_proj', 'mlp.experts.down_proj'],
    };

    before(async () => {
      root = await mkdtemp(path.join(tmpdir(), 'graft-experts-'));
      await writeTinyModel(at('model'), {
        ...tinyFamilies[type],
        output_router_logits: true,
        router_aux_loss_coef: 0.2,
      });
      base = await openBaseModel(at('model'));
      const lines = Array.from({ length: 16 }, (_, i) =>
        JSON.stringify({ prompt: `${'ab'.repeat(i % 5)}${i}:`, completion: ` ${i % 3}` }),
      );
      await writeFile(at('train.jsonl'), lines.join('\n'));
    });
    after(async () => {
      useKernels('auto');
      await base.close();
      await rm(root, { recursive: true });
    });

    const trained = (name: string, training: Record<string, unknown>, own = base) =>
      trainAdapter(
        trainOptions({
          base: own,
          trainingFile: at('train.jsonl'),
          exampleCount: 16,
          peft,
          training: { max_steps: 6, learning_rate: 0.01, batch_size: 4, precision: 'fp32', ...training },
          outputDir: at(name),
        }),
      );
    const distance = (a: number[], b: number[]) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));

    test('with blocks that are computed again, and without kernels, the losses are the same', async () => {
      const { losses } = await trained('kernels', {});
      assert.equal(losses.length, 6);
      const again = await trained('checkpointed', { gradient_checkpointing: true });
      assert.ok(distance(again.losses, losses) < 1e-5, `${again.losses} and ${losses}`);
      useKernels('stock');
      const stock = await trained('stock', {});
      const stockAgain = await trained('stock-checkpointed', { gradient_checkpointing: true });
      useKernels('auto');
      assert.ok(distance(stock.losses, losses) < 1e-4, `${stock.losses} and ${losses}`);
      assert.ok(distance(stockAgain.losses, losses) < 1e-4, `${stockAgain.losses} and ${losses}`);
    });

    test('the losses of micro-batches are averaged, with that of experts', async () => {
      const { losses } = await trained('accumulated', { batch_size: 2, gradient_accumulation_steps: 2 });
      const plain = { ...base, config: { ...base.config, output_router_logits: false } };
      const without = await trained(
        'accumulated-plain',
        { batch_size: 2, gradient_accumulation_steps: 2 },
        plain,
      );
      // A uniform choice costs coefficient · k, and any other more.
      const added = losses[0]! - without.losses[0]!;
      assert.ok(added > 0.3 && added < 0.8, `${added}`);
    });

    test('in bf16 it learns, too', async () => {
      const { losses } = await trained('bf16', { precision: 'bf16', n_epochs: 6, max_steps: 24 });
      assert.ok(losses.at(-1)! < losses[0]!, `${losses}`);
    });

    test('chats are answered together as they are alone, on the base and on an adapter', {
      skip: kernelSets()[0] === 'stock',
    }, async () => {
      const { adapterDir } = (await trained('served', {})).done;
      const requests = Array.from({ length: 9 }, (_, i) => ({
        adapter: i % 2 ? adapterDir : null,
        prompt: `${'ab'.repeat((i * 7) % 20)}${i}:`,
        max_tokens: 8,
        logprobs: 3,
        team: `${i}`,
      }));
      const answer = async (generator: Awaited<ReturnType<typeof openGenerator>>, i: number) => {
        const tokens = [];
        for await (const { tokenId, likely } of generator.generate(requests[i]!))
          tokens.push({ tokenId, likely });
        return tokens;
      };
      const generator = await openGenerator({ base, context: 64, rows: 8 });
      const alone = [];
      for (const i of requests.keys()) alone.push(await answer(generator, i));
      const together = await Promise.all([...requests.keys()].map((i) => answer(generator, i)));
      assert.deepEqual(together, alone);
      await generator.close();
    });
  });
}
