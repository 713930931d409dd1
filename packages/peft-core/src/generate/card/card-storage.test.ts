/** Bases of less than float32 on graphs that are laid out for a card: what a processor answers with the same numbers in float32. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { architectureFor } from '../../models/registry.ts';
import { layingOutFor } from '../../nn/computation.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { dequantised } from '../../weights/dequantised.ts';
import { openGenerator } from '../generator.ts';
import type { ServingLimits } from '../step.ts';

const at = tempFolder();
let base: BaseModel;
before(async () => {
  await writeTinyModel(at('model'), { hidden_size: 64, intermediate_size: 128, head_dim: 16 });
  base = await openBaseModel(at('model'));
});
after(() => base.close());

/** Of the first token after each prompt, the log-probabilities of all tokens, by text. */
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

/** What products of factors in bfloat16, of 64 numbers each, may change of a log-probability of this model. */
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
    // Of int8 that is less than what products in bf16 change.
    if (dtype === 'nf4') assert.ok(byQuantising > 10 * ROUNDED, `quantising changes ${byQuantising}`);
  });
