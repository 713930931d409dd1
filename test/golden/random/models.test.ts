/**
 * Models of random sizes and options, of every decoder family: Graft's scores are transformers', and with a LoRA adapter PEFT's.
 * The models are the same in every run. GRAFT_RANDOM_MODELS=20 compares twenty of each family, GRAFT_RANDOM_FAMILIES=llama,qwen3 some
 * families, and GRAFT_RANDOM_SEED=2 others than the usual ones.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../../packages/peft-core/src/random.ts';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { graftOutputs, largestDifference } from '../fixtures/graft-outputs.ts';
import { scoreInPython } from '../fixtures/score-in-python.ts';
import { scratchFolder } from '../fixtures/scratch-folder.ts';
import { drawConfig, drawnFamilies } from './random-config.ts';

const {
  GRAFT_RANDOM_MODELS: count = '1',
  GRAFT_RANDOM_SEED: seed = '1',
  GRAFT_RANDOM_FAMILIES: only,
} = process.env;
const families = drawnFamilies.filter((family) => !only || only.split(',').includes(family));
const folder = scratchFolder('random-models');
const drawn = families.flatMap((family, f) =>
  Array.from({ length: Number(count) }, (_, i) => {
    const random = new Random(Number(seed), 'test', 1000 * f + i);
    const name = `${family}-${i}`;
    const config = drawConfig(family, random);
    const inputs = [1, 40, 200].map((length) =>
      Array.from({ length: length + random.integer(20) }, () => 4 + random.integer(300)),
    );
    return { name, config, inputs, model: join(folder, name), adapter: join(folder, `${name}-adapter`) };
  }),
);

const lora = { peft_type: 'LORA', task_type: 'CAUSAL_LM', r: 3, lora_alpha: 5, target_modules: 'all-linear' };
await runPythonJson('matrix_models.py', [], {
  models: drawn.map(({ model, config }, i) => ({ output: model, task: 'CAUSAL_LM', config, seed: 900 + i })),
  adapters: drawn.map(({ model, adapter }, i) => ({
    model,
    task: 'CAUSAL_LM',
    config: lora,
    output: adapter,
    seed: 900 + i,
  })),
});
const scored = await scoreInPython(
  drawn.flatMap(({ model, adapter, inputs }) => [
    { model, adapter: null, inputs, greedy: false },
    { model, adapter, inputs, greedy: false },
  ]),
);

/** Rounding grows with a log-probability, from −5 on: what is improbable is the difference of large numbers. */
const scaled = (rows: number[][], by: number[][]) =>
  rows.map((row, r) => row.map((value, i) => value / Math.max(1, Math.abs(by[r]![i]!) / 5)));

for (const [i, { name, config, inputs, model, adapter }] of drawn.entries())
  test(`${name}: ${JSON.stringify(config)}`, async () => {
    for (const [k, adapterDir] of [null, adapter].entries()) {
      const outputs = await graftOutputs(model, adapterDir, inputs);
      const wanted = scored[2 * i + k]!.logprobs;
      const difference = largestDifference(scaled(wanted, wanted), scaled(outputs, wanted));
      assert.ok(
        difference < 1e-4,
        `${adapterDir ? 'with the adapter' : 'base'}: they differ by ${difference}`,
      );
    }
  });
