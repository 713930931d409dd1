/**
 * The code of model cards loads what Graft wrote: for every family and task, as published with images where a family has them, the code of
 * an adapter's README.md gives Graft's outputs, and so does that of the merged model's card.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { mergeAdapter, train } from '@graft/peft-core';
import { parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { folderCard } from '@graft/peft-core/exports';
import { openBaseModel } from '@graft/peft-core/files';
import type { TaskType } from '@graft/peft-core/outlines';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { gemma4Variants } from './fixtures/gemma4-variants.ts';
import { graftOutputs, largestDifference } from './fixtures/graft-outputs.ts';
import { multimodal } from './fixtures/multimodal.ts';
import { recurrentVariants } from './fixtures/recurrent-variants.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';
import { architectures } from './matrix/architectures.ts';
import { writeTrainingFile } from './matrix/data.ts';
import { probesFor } from './matrix/probes.ts';

interface Loaded {
  logprobs: number[][];
  zeros: string[];
}

const folder = scratchFolder('model-cards');
const withImages: Record<string, Record<string, unknown>> = {
  gemma3: multimodal({ model_type: 'gemma3' }, { head_dim: 24, sliding_window: 20 }),
  mistral3: multimodal({ model_type: 'mistral3' }, { model_type: 'ministral3', head_dim: 24 }),
  ...Object.fromEntries(
    Object.values({ ...gemma4Variants, ...recurrentVariants })
      .filter(({ config }) => 'text_config' in config)
      .map(({ config }) => [config.model_type, config]),
  ),
};
const published = Object.entries(withImages).map(([name, config]) => ({
  name: `${name} with images`,
  task: 'CAUSAL_LM' as TaskType,
  config,
}));
const rows = [...architectures.filter(({ sampled, name }) => !sampled && !name.includes('-')), ...published];

const models = rows.map((row, i) => ({
  ...row,
  output: join(folder, `${row.name.replaceAll(/\W+/g, '-')}`),
  seed: 700 + i,
}));
await runPythonJson('matrix_models.py', [], { models, adapters: [] });

const made: { name: string; task: TaskType; model: string; adapter: string; merged: string }[] = [];
for (const { name, task, output: model } of models) {
  const [adapter, merged] = [`${model}-adapter`, `${model}-merged`];
  const trainingFile = await writeTrainingFile(folder, task);
  const peft = parsePeftConfig({
    peft_type: 'LORA',
    task_type: task,
    r: 2,
    // PEFT would also match this expression with modules of the vision part, whose updates would stay 0.
    target_modules: name.endsWith('with images') ? '.*(q_proj|v_proj|fc1|up_proj)' : 'all-linear',
  });
  const training = resolveTraining({
    peft,
    training: { precision: 'fp32', max_steps: 3, batch_size: 4, learning_rate: 0.02 },
    exampleCount: 24,
  });
  const base = await openBaseModel(model);
  try {
    const run = { base, baseModelName: model, trainingFile, peft, training, outputDir: adapter };
    for await (const _ of train(run));
    await mergeAdapter({ base, adapterDir: adapter, outputDir: merged });
  } finally {
    await base.close();
  }
  made.push({ name, task, model, adapter, merged });
}

const pythonIn = (card: string) => /```python\n([\s\S]*?)```/.exec(card)![1]!;
const codes = await Promise.all(
  made.flatMap(({ adapter, merged }) => [
    readFile(join(adapter, 'README.md'), 'utf8'),
    folderCard(merged, merged, async () => null),
  ]),
);
const loaded = await runPythonJson<Loaded>('card_code.py', [], {
  runs: made.flatMap(({ task, adapter, merged }, i) => {
    const [ofAdapter, ofMerged] = codes.slice(2 * i) as [string, string];
    const run = { task, inputs: probesFor(task) };
    return [
      { ...run, folder: adapter, code: pythonIn(ofAdapter) },
      { ...run, folder: merged, code: pythonIn(ofMerged) },
    ];
  }),
});

for (const [i, { name, task, model, adapter }] of made.entries())
  test(name, async () => {
    const [byAdapter, byMerged] = loaded.slice(2 * i) as [Loaded, Loaded];
    const probes = probesFor(task);
    const own = await graftOutputs(model, adapter, probes);
    const moved = largestDifference(own, await graftOutputs(model, null, probes).catch(() => own));
    assert.ok(task !== 'CAUSAL_LM' || moved > 1e-2, `the adapter moves the outputs by ${moved} only`);
    // Embeddings do not read the pooler.
    assert.deepEqual(
      byAdapter.zeros.filter((each) => !each.includes('.pooler.')),
      [],
    );
    for (const { logprobs } of [byAdapter, byMerged]) {
      const difference = largestDifference(logprobs, own);
      assert.ok(difference < 1e-3, `outputs differ by ${difference}`);
    }
  });
