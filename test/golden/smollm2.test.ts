/** The real model: Graft against transformers and HF PEFT on SmolLM2-135M-Instruct (GGUF, Q4_1), fp32. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { mergeAdapter } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { writeExamples } from './fixtures/example-data.ts';
import { graftOutputs, largestDifference } from './fixtures/graft-outputs.ts';
import { realModel } from './fixtures/real-model.ts';
import { scoreInPython } from './fixtures/score-in-python.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';
import { compareTrainings } from './fixtures/training-comparison.ts';

const model = await realModel();
const folder = scratchFolder('smollm2');
const trainingFile = join(folder, 'chat.jsonl');
await writeExamples(trainingFile, 'chat', 60);

const comparisons = await compareTrainings(
  [
    {
      name: 'smollm2',
      model,
      trainingFile,
      config: { r: 8, lora_alpha: 16, target_modules: ['q_proj', 'v_proj'] },
      training: {
        precision: 'fp32',
        max_steps: 20,
        n_epochs: 20,
        batch_size: 4,
        learning_rate: 1e-3,
        warmup_steps: 2,
      },
    },
  ],
  folder,
);
const { graft, peft } = comparisons[0]!;

test('20 steps lose what PyTorch and HF PEFT lose', () => {
  assert.equal(graft.steps.length, 20);
  const differences = peft.steps.map((expected, i) => Math.abs(expected.loss - graft.steps[i]!.loss));
  assert.ok(Math.max(...differences) < 1e-3, `loss differences: ${differences.join(' ')}`);
  assert.ok(peft.steps.at(-1)!.loss < peft.steps[0]!.loss - 0.5, 'nothing was learned');
});

test('base, adapters and merged model score the same in transformers, PEFT and Graft', async () => {
  const merged = join(folder, 'merged');
  const base = await openBaseModel(model);
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  await mergeAdapter({ base, adapterDir: graft.adapter, outputDir: merged });
  await base.close();
  const probes = [
    'A gardener grafts a young branch onto an old root. What grows then, and when may it be cut?',
    '<|im_start|>user\nHow many green pears grow on tree 13?<|im_end|>\n<|im_start|>assistant\n13 pears.<|im_end|>\n',
    'def area(radius):\n    return 3.14159 * radius ** 2  # 🙂 Straße 東京',
  ].map((text) => [...tokenizer.encode(text, { addSpecialTokens: false })]);

  const [ofBase, ofGraft, ofPeft, ofMerged] = await scoreInPython([
    { model, adapter: null, inputs: probes },
    { model, adapter: graft.adapter, inputs: probes },
    { model, adapter: peft.adapter, inputs: probes },
    { model: merged, adapter: null, inputs: probes },
  ]);
  assert.ok(ofBase && ofGraft && ofPeft && ofMerged);
  assert.deepEqual(ofGraft.mismatch, { missing: [], unexpected: [], shapes: [], values: [] });
  assert.ok(largestDifference(ofBase.logprobs, ofGraft.logprobs) > 0.1, 'the trained adapter moves nothing');

  const checks: [string, number[][], number[][]][] = [
    ['base', ofBase.logprobs, await graftOutputs(model, null, probes)],
    ['Graft’s adapter in PEFT', ofGraft.logprobs, await graftOutputs(model, graft.adapter, probes)],
    ['PEFT’s adapter in Graft', ofPeft.logprobs, await graftOutputs(model, peft.adapter, probes)],
    ['merged by Graft, in transformers', ofMerged.logprobs, ofGraft.logprobs],
  ];
  for (const [what, a, b] of checks) {
    const difference = largestDifference(a, b);
    assert.ok(difference < 1e-4, `${what}: log-probabilities differ by ${difference}`);
  }
});
