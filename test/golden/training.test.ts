/**
 * Twenty AdamW steps from the same initial LoRA weights on the same batches give the same losses as PyTorch and HF
 * PEFT, and the adapters of either side mean the same to both, merged or not.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { mergeAdapter } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { writeExamples } from './fixtures/example-data.ts';
import { graftOutputs, largestDifference } from './fixtures/graft-outputs.ts';
import { scoreInPython } from './fixtures/score-in-python.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';
import { tinyFixture } from './fixtures/tiny-fixture.ts';
import { compareTrainings, type TrainingCase } from './fixtures/training-comparison.ts';

const steps = 20;
const lossTolerance = 1e-3;
const scoreTolerance = 1e-4;

const folder = scratchFolder('training');
const fixture = await tinyFixture();
const dataFile = (format: string) => join(folder, `${format}.jsonl`);
for (const format of ['chat', 'prompt_completion', 'text'] as const)
  await writeExamples(dataFile(format), format, 30);

const query = ['q_proj', 'v_proj'];
const fp32 = { precision: 'fp32', max_steps: steps, n_epochs: 20 };
const cases: TrainingCase[] = [
  {
    name: 'packed-cosine-clipped',
    model: fixture.modelFolder('tied'),
    trainingFile: dataFile('chat'),
    config: { r: 4, lora_alpha: 8, target_modules: query },
    training: {
      ...fp32,
      batch_size: 4,
      learning_rate: 1e-2,
      lr_scheduler_type: 'cosine',
      warmup_steps: 3,
      weight_decay: 0.01,
      max_grad_norm: 0.5,
      packing: true,
    },
  },
  {
    name: 'accumulated-linear-rslora',
    model: fixture.modelFolder('untied'),
    trainingFile: dataFile('prompt_completion'),
    config: { r: 8, lora_alpha: 8, target_modules: 'all-linear', use_rslora: true },
    training: {
      ...fp32,
      batch_size: 3,
      gradient_accumulation_steps: 2,
      learning_rate: 3e-3,
      lr_scheduler_type: 'linear',
      warmup_steps: 0,
      weight_decay: 0,
      packing: true,
    },
  },
  {
    name: 'unpacked-constant-bias-all',
    model: fixture.modelFolder('biased'),
    trainingFile: dataFile('text'),
    config: { r: 4, lora_alpha: 8, target_modules: [...query, 'down_proj'], bias: 'all' },
    training: {
      ...fp32,
      batch_size: 4,
      learning_rate: 3e-3,
      lr_scheduler_type: 'constant',
      warmup_steps: 2,
      weight_decay: 0.1,
      packing: false,
    },
  },
  {
    name: 'checkpointed-head-and-patterns',
    model: fixture.modelFolder('untied'),
    trainingFile: dataFile('chat'),
    config: {
      r: 4,
      lora_alpha: 8,
      target_modules: query,
      modules_to_save: ['lm_head'],
      rank_pattern: { 'layers.1.self_attn.q_proj': 2 },
      alpha_pattern: { v_proj: 16 },
    },
    training: {
      ...fp32,
      batch_size: 4,
      learning_rate: 3e-3,
      weight_decay: 0.01,
      gradient_checkpointing: true,
    },
  },
  {
    name: 'bias-lora-only',
    model: fixture.modelFolder('biased'),
    trainingFile: dataFile('prompt_completion'),
    config: { r: 4, lora_alpha: 8, target_modules: query, bias: 'lora_only' },
    training: { ...fp32, batch_size: 4, learning_rate: 3e-3, weight_decay: 0.01 },
  },
  {
    name: 'one-layer-of-a-bf16-model',
    model: fixture.modelFolder('bf16-sharded'),
    trainingFile: dataFile('chat'),
    config: { r: 4, lora_alpha: 8, target_modules: query, layers_to_transform: [1] },
    training: { ...fp32, batch_size: 5, learning_rate: 3e-2 },
  },
];
const comparisons = await compareTrainings(cases, folder);

for (const { name, graft, peft } of comparisons) {
  test(`${name}: ${steps} steps as PyTorch and HF PEFT do them`, () => {
    assert.equal(peft.steps.length, steps);
    assert.equal(graft.steps.length, steps);
    for (const [i, expected] of peft.steps.entries()) {
      const actual = graft.steps[i]!;
      const where = `step ${i + 1}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`;
      assert.ok(Math.abs(actual.loss - expected.loss) < lossTolerance, where);
      assert.ok(Math.abs(actual.learning_rate - expected.learning_rate) < 1e-9, where);
      assert.ok(Math.abs(actual.grad_norm / expected.grad_norm - 1) < 1e-2, where);
      assert.ok(Math.abs(actual.token_accuracy - expected.token_accuracy) < 0.02, where);
    }
    const losses = peft.steps.map((step) => step.loss);
    assert.ok(losses.at(-1)! < losses[0]! - 0.1, `nothing was learned: ${losses.join(' ')}`);
  });
}

const probes = [
  [5, 6, 7, 30, 31, 32, 90, 200, 201, 17],
  Array.from({ length: 64 }, (_, i) => 4 + ((i * 37) % 300)),
];

const mergedOf = (name: string) => join(folder, `${name}-merged`);
for (const { name, model, graft } of comparisons) {
  const base = await openBaseModel(model);
  await mergeAdapter({ base, adapterDir: graft.adapter, outputDir: mergedOf(name) });
  await base.close();
}
const pythonScores = await scoreInPython(
  comparisons.flatMap(({ name, model, graft, peft }) => [
    { model, adapter: graft.adapter, inputs: probes },
    { model, adapter: peft.adapter, inputs: probes },
    { model: mergedOf(name), adapter: null, inputs: probes },
    { model, adapter: null, inputs: probes },
  ]),
);

for (const [i, { name, model, graft, peft }] of comparisons.entries()) {
  test(`${name}: the adapters of both sides load and score the same on both, merged or not`, async () => {
    const [ofGraft, ofPeft, ofMerged, ofBase] = pythonScores.slice(4 * i);
    assert.ok(ofGraft && ofPeft && ofMerged && ofBase);
    assert.deepEqual(ofGraft.mismatch, { missing: [], unexpected: [], shapes: [], values: [] });
    const moved = largestDifference(ofGraft.logprobs, ofBase.logprobs);
    assert.ok(moved > 0.01, `the trained adapter moves nothing (${moved})`);

    const checks: [string, number[][], number[][]][] = [
      ['Graft’s adapter in PEFT', ofGraft.logprobs, await graftOutputs(model, graft.adapter, probes)],
      ['PEFT’s adapter in Graft', ofPeft.logprobs, await graftOutputs(model, peft.adapter, probes)],
      ['merged by Graft, in transformers', ofMerged.logprobs, ofGraft.logprobs],
      ['merged by Graft, in Graft', await graftOutputs(mergedOf(name), null, probes), ofGraft.logprobs],
    ];
    for (const [what, a, b] of checks) {
      const difference = largestDifference(a, b);
      assert.ok(difference < scoreTolerance, `${what}: log-probabilities differ by ${difference}`);
    }
  });
}
