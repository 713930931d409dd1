/**
 * Options of training that are off by default: twenty steps are those of transformers, PEFT and torch, and so is the
 * adapter at the end.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readAllTensors } from '@graft/peft-core/files';
import { writeExamples } from './fixtures/example-data.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';
import { tinyFixture } from './fixtures/tiny-fixture.ts';
import { compareTrainings, type TrainingCase } from './fixtures/training-comparison.ts';

const steps = 20;
const folder = scratchFolder('training-options');
const fixture = await tinyFixture();
const dataFile = (format: string) => join(folder, `${format}.jsonl`);
for (const format of ['chat', 'prompt_completion'] as const)
  await writeExamples(dataFile(format), format, 30);
const trees = Array.from({ length: 30 }, (_, i) => ({
  text: `How many ${['red', 'dark blue', 'pale yellow'][i % 3]} plums grow on tree ${i}?`,
  label: Number(i % 3 === 1),
}));
await writeFile(dataFile('classification'), trees.map((line) => JSON.stringify(line)).join('\n'));
const several = trees.map(({ text }, i) => ({
  text,
  labels: [0, 1].filter((label) => (i >> label) % 2 === 1),
}));
await writeFile(dataFile('multi_label'), several.map((line) => JSON.stringify(line)).join('\n'));

const common = { precision: 'fp32', max_steps: steps, n_epochs: 20, batch_size: 4 };
const cases: TrainingCase[] = [
  {
    name: 'lora-plus, stable',
    model: fixture.modelFolder('tied'),
    trainingFile: dataFile('chat'),
    config: { r: 4, lora_alpha: 8, target_modules: ['q_proj', 'v_proj', 'embed_tokens'] },
    training: {
      ...common,
      learning_rate: 3e-3,
      weight_decay: 0.05,
      lr_scheduler_type: 'warmup_stable_decay',
      lr_scheduler_kwargs: { num_decay_steps: 8, decay_type: '1-sqrt', min_lr_ratio: 0.1 },
      loraplus_lr_ratio: 4,
      loraplus_lr_embedding: 1e-3,
      label_smoothing_factor: 0.1,
    },
  },
  {
    name: 'smoothed and averaged, head trained',
    model: fixture.modelFolder('untied'),
    trainingFile: dataFile('prompt_completion'),
    config: { r: 4, lora_alpha: 8, target_modules: ['q_proj', 'v_proj'], modules_to_save: ['lm_head'] },
    training: {
      ...common,
      learning_rate: 3e-3,
      gradient_accumulation_steps: 2,
      min_lr_rate: 0.1,
      label_smoothing_factor: 0.2,
      ema_decay: 0.8,
    },
  },
  {
    name: 'classes weighed and smoothed',
    model: fixture.modelFolder('tied'),
    trainingFile: dataFile('classification'),
    config: { r: 4, lora_alpha: 8, target_modules: ['q_proj', 'v_proj'], task_type: 'SEQ_CLS' },
    training: { ...common, learning_rate: 1e-2, label_smoothing_factor: 0.1, class_weights: [0.5, 3] },
  },
  {
    name: 'several labels a text, averaged',
    model: fixture.modelFolder('tied'),
    trainingFile: dataFile('multi_label'),
    config: { r: 4, lora_alpha: 8, target_modules: ['q_proj', 'v_proj'], task_type: 'SEQ_CLS' },
    training: { ...common, learning_rate: 1e-2, ema_decay: 0.9 },
  },
];

for (const { name, graft, peft } of await compareTrainings(cases, folder)) {
  test(`${name}: ${steps} steps as the libraries do them`, () => {
    assert.equal(peft.steps.length, steps);
    assert.equal(graft.steps.length, steps);
    for (const [i, expected] of peft.steps.entries()) {
      const actual = graft.steps[i]!;
      const where = `step ${i + 1}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`;
      assert.ok(Math.abs(actual.loss - expected.loss) < 1e-3, where);
      assert.ok(Math.abs(actual.learning_rate - expected.learning_rate) < 1e-9, where);
      assert.ok(Math.abs(actual.grad_norm / expected.grad_norm - 1) < 1e-2, where);
    }
    const losses = peft.steps.map((step) => step.loss);
    assert.ok(losses.at(-1)! < losses[0]! - 0.05, `nothing was learned: ${losses.join(' ')}`);
  });
  test(`${name}: the adapter is the libraries'`, async () => {
    const [own, expected] = await Promise.all(
      [graft, peft].map(({ adapter }) => readAllTensors(join(adapter, 'adapter_model.safetensors'))),
    );
    for (const [key, { data }] of expected!) {
      const values = own!.get(key)?.data;
      const furthest = data.reduce((most, value, i) => Math.max(most, Math.abs(value - values![i]!)), 0);
      assert.ok(furthest < 1e-3, `${key} is off by ${furthest}`);
    }
  });
}
