/** Compares bases stored in less than float32, with GPU layout, with a CPU that computes with the same values in float32. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parsePeftConfig } from '../../config/index.ts';
import { type BaseModel, openBaseModel, writeAdapter } from '../../files.ts';
import { architectureFor } from '../../models/registry.ts';
import { layingOutFor } from '../../nn/computation.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { fileTensorsFor } from '../../tuners/check.ts';
import { dequantised } from '../../weights/base-storage.ts';
import { type Generator, openGenerator } from '../generator.ts';
import type { ServingLimits } from '../step.ts';
import { cardBudget } from './card-budget.ts';

const at = tempFolder();
let base: BaseModel;
before(async () => {
  await writeTinyModel(at('model'), { hidden_size: 64, intermediate_size: 128, head_dim: 16 });
  base = await openBaseModel(at('model'));
});
after(() => base.close());

/** Log-probabilities of all tokens after each prompt, by text. */
async function firstTokens(model: BaseModel, baseDtype: NonNullable<ServingLimits['baseDtype']>) {
  const generator = await openGenerator({ base: model, context: 64, rows: 4, baseDtype });
  const found: Map<string, number>[] = [];
  for (const prompt of ['a', 'The tree bears new fruit:', 'x'.repeat(40)])
    for await (const { likely } of generator.generate({ prompt, max_tokens: 1, logprobs: 200 }))
      if (likely) found.push(new Map(likely.top.map(({ token, logprob }) => [token, logprob])));
  await generator.close();
  return found;
}

function largestDifference(some: Map<string, number>[], others: Map<string, number>[]): number {
  const each = some.flatMap((own, i) =>
    [...own].map(([token, logprob]) => Math.abs(logprob - (others[i]!.get(token) ?? logprob))),
  );
  return Math.max(...each);
}

/** Maximum effect of products with 64 bfloat16 factors each on a log-probability of this model. */
const ROUNDED = 0.05;

test('bf16: the products of bf16, and in float32 those of float32', async () => {
  const expected = await firstTokens(base, 'fp32');
  const own = (dtype: 'auto' | 'fp32') => layingOutFor('gpu', () => firstTokens(base, dtype));
  const difference = largestDifference(await own('auto'), expected);
  assert.ok(difference < ROUNDED && difference > 1e-5, `auto differs by ${difference}`);
  const exact = largestDifference(await own('fp32'), expected);
  assert.ok(exact < 1e-5, `fp32 differs by ${exact}`);
});

for (const dtype of ['int8', 'nf4'] as const)
  test(`${dtype}: as the base's numbers once they were quantised`, async () => {
    const values = dequantised(architectureFor(base.modelType, base.config), dtype);
    const { tensors } = base;
    const quantised: BaseModel = {
      ...base,
      tensors: {
        names: () => tensors.names(),
        has: (name) => tensors.has(name),
        info: (name) => tensors.info(name),
        readBfloat16: (name, out) => tensors.readBfloat16(name, out),
        async readFloat32(name, out) {
          const read = await tensors.readFloat32(name, out);
          read.set(values(name, read));
          return read;
        },
      },
    };
    const expected = await firstTokens(quantised, 'fp32');
    const found = await layingOutFor('gpu', () => firstTokens(base, dtype));
    const difference = largestDifference(found, expected);
    assert.ok(difference < ROUNDED, `differs by ${difference}`);
    const byQuantising = largestDifference(expected, await firstTokens(base, 'fp32'));
    // For int8 the effect is smaller than that of products in bf16.
    if (dtype === 'nf4') assert.ok(byQuantising > 10 * ROUNDED, `quantising changes ${byQuantising}`);
  });

test('if bf16 does not fit, the base is held in the storage that the requested adapter was trained on', async () => {
  await writeTinyModel(at('deep'), { num_hidden_layers: 32 });
  const deep = await openBaseModel(at('deep'));
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 2, target_modules: ['q_proj'] });
  const tensors = new Map(
    fileTensorsFor(peft, deep.config).map(({ key, shape }) => [
      key,
      { shape, data: new Float32Array(elementCount(shape)).fill(0.01) },
    ]),
  );
  const quantised = { base_dtype: 'int8', quantised_validation_loss: 1, validation_loss: 1 } as const;
  const card = { steps: 1, trainedTokens: 1, finalLoss: 1, validationLoss: null, quantised };
  await writeAdapter(at('adapter'), { peft, baseModelNameOrPath: 'tiny', tensors, card });

  const limits = { context: 64, rows: 4, cacheBytes: 1, updateBytes: 2e5 };
  const architecture = architectureFor(deep.modelType, deep.config);
  const fits = (memoryBytes: number) => {
    try {
      cardBudget(architecture, { ...limits, memoryBytes }, 'int8');
      return true;
    } catch {
      return false;
    }
  };
  let [least, most] = [0, 2 ** 32];
  while (most - least > 1) {
    const middle = Math.floor((least + most) / 2);
    if (fits(middle)) most = middle;
    else least = middle;
  }
  const first = async (generator: Generator, adapter: string | null) => {
    for await (const { tokenId } of generator.generate({ adapter, prompt: 'a', max_tokens: 1 }))
      if (tokenId >= 0) return tokenId;
    return -1;
  };
  await layingOutFor('gpu', async () => {
    const generator = await openGenerator({ base: deep, ...limits, memoryBytes: most });
    await assert.rejects(first(generator, null), { code: 'model_too_large' });
    assert.ok((await first(generator, at('adapter'))) >= 0);
    assert.ok((await first(generator, null)) >= 0, 'all answer on what is loaded');
    await generator.close();
  });
  await deep.close();
});
