/** Tests the rates of long runs by width. docs/auto.md shows this table; decision 33 explains it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeftConfig } from '../../config/peft-config.ts';
import { families } from '../../outlines/families.ts';
import { loraMethod, usualLora } from './method.ts';

const exponentOf = (modelType: string) =>
  families.find((each) => each.modelType === modelType)!.rateExponent!;
const rateAt = (hiddenSize: number, modelType: string, lora_alpha: number) => {
  const config = parsePeftConfig({ peft_type: 'LORA', lora_alpha }) as Parameters<
    typeof loraMethod.learningRate
  >[0];
  return loraMethod.learningRate(config, { hiddenSize, rateExponent: exponentOf(modelType) });
};
const widths = [576, 960, 2048, 3584, 4096, 5120, 8192];

test('the rate of what a job without options trains, by width', () => {
  const rates = (modelType: string) => widths.map((width) => rateAt(width, modelType, usualLora.lora_alpha));
  // Up to 1,024 the rates follow the sweep at 576.
  assert.deepEqual(rates('llama'), [9.3e-4, 6.3e-4, 2.1e-4, 8.8e-5, 7.1e-5, 6e-5, 4.2e-5]);
  assert.deepEqual(rates('qwen2'), [3.9e-4, 3.7e-4, 2.1e-4, 1.3e-4, 1.2e-4, 1.2e-4, 1.1e-4]);
  assert.deepEqual(rates('qwen3'), rates('qwen2'));
  assert.deepEqual(rates('mistral'), rates('llama'));
});

test('alpha · rate of wide models is that of published recipes, and the same for every alpha from 16', () => {
  for (const width of widths.filter((each) => each >= 4096))
    for (const modelType of ['llama', 'mistral', 'qwen2', 'qwen3']) {
      const products = [16, 32, 64, 128, 256].map((alpha) => alpha * rateAt(width, modelType, alpha));
      // Rates are rounded to two digits.
      const [least, most] = [Math.min(...products), Math.max(...products)];
      assert.ok(most / least < 1.1, `${modelType} ${width}: ${products}`);
      // Width 8,192 at alpha 16 gets the rate 1e-4 of Dettmers et al. 2023: a product of 0.0016.
      const lowest = width === 8192 ? 0.0016 : 0.003;
      assert.ok(least >= lowest && most <= 0.009, `${modelType} ${width}: ${products}`);
    }
  // The widest model for which alpha · rate is not quite constant.
  const qwen = 64 * rateAt(3584, 'qwen2', 64);
  assert.ok(qwen >= 0.003 && qwen <= 0.009, String(qwen));
});

test('between narrow and wide models alpha · rate falls without a jump', () => {
  for (const modelType of ['llama', 'qwen2'])
    for (let width = 256; width < 16_384; width += 64) {
      const [one, next] = [width, width + 64].map((each) => rateAt(each, modelType, 64));
      assert.ok(next! <= one! && next! > 0.7 * one!, `${modelType} ${width}: ${one} ${next}`);
    }
});
