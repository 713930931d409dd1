import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outlineOf } from '../outlines/index.ts';
import { tinyFamilies } from '../testing/tiny-families.ts';
import { tinyConfig } from '../testing/tiny-model.ts';
import { blockNumbers } from './block-numbers.ts';

const positions = 2 * 10;
const numbersOf = (config: Record<string, unknown>) =>
  blockNumbers(outlineOf(config), { rows: 2, tokens: 10, inputTokens: 0 });

for (const model_type of ['qwen3_next', 'qwen3_5_moe_text'])
  test(`${model_type}: a shared expert counts like the chosen ones, also where it is narrower than the stream`, () => {
    const config = { ...tinyConfig, ...tinyFamilies.qwen3_next, mlp_only_layers: [], model_type };
    const [chosen, width, hidden] = [2, 16, 32];
    // 24 is narrower than the hidden size of 32, and 40 wider.
    for (const shared of [24, 40]) {
      const [block] = numbersOf({ ...config, shared_expert_intermediate_size: shared });
      assert.equal(block!.inner, positions * 2 * (chosen * width + shared));
    }
    const [narrow, wide] = [8, 24].map(
      (shared) => numbersOf({ ...config, shared_expert_intermediate_size: shared })[0]!,
    );
    assert.equal(wide!.kept - narrow!.kept, positions * 2 * 16);
    // Gate, up and down of the shared expert.
    assert.equal(wide!.products - narrow!.products, positions * 2 * 3 * hidden * 16);
  });

test('granitemoehybrid: the network beside the experts counts like them, also where it is narrower than the stream', () => {
  const of = (shared: number) =>
    numbersOf({ ...tinyConfig, ...tinyFamilies.granitemoehybrid, shared_intermediate_size: shared })[0]!;
  for (const shared of [24, 40]) assert.equal(of(shared).inner, positions * 2 * (2 * 16 + shared));
  assert.equal(of(24).products - of(8).products, positions * 2 * 3 * 32 * 16);
});

test('an expert as wide as the stream is counted once, without its way back', () => {
  const config = { ...tinyConfig, ...tinyFamilies.qwen3_next, mlp_only_layers: [] };
  const of = (shared: number) => numbersOf({ ...config, shared_expert_intermediate_size: shared })[0]!.inner;
  assert.equal(of(32) - of(24), positions * 2 * 8);
});
