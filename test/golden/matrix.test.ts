/**
 * Every PEFT method on every architecture: Graft against transformers and HF PEFT on tiny random models, in fp32.
 * GRAFT_MATRIX narrows it to cells whose name (`llama × lora`) contains one of these parts, with commas between.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parsePeftConfig } from '@graft/peft-core/config';
import { runPythonJson } from '../../scripts/golden/run-python.ts';
import { type TrainingPlan, trainingPlan } from '../../scripts/golden/training-plan.ts';
import { largestDifference } from './log-probabilities.ts';
import { architectures } from './matrix/architectures.ts';
import { cells } from './matrix/cells.ts';
import { writeTrainingFile } from './matrix/data.ts';
import { type GraftRun, runGraft } from './matrix/graft-side.ts';
import { graftOutputs } from './matrix/outputs.ts';
import { probesFor } from './matrix/probes.ts';
import { drawTable, note, type Results, saveTable } from './matrix/table.ts';
import type { PythonScore } from './score-in-python.ts';
import { scratchFolder } from './scratch-folder.ts';
import type { StepRecord } from './training-comparison.ts';

const tolerance = { output: 1e-4, loss: 1e-3 };
const steps = 20;
const folder = scratchFolder('matrix');
const all = cells();
assert.ok(all.length > 0, 'GRAFT_MATRIX matches no cell');
const modelOf = (architecture: string) => join(folder, 'models', architecture);
const cellFolder = (i: number) => join(folder, 'cells', String(i));
const startOf = (i: number) => join(cellFolder(i), 'start');
const peftOf = (i: number) => join(cellFolder(i), 'peft');

const used = architectures.filter((row) => all.some((cell) => cell.architecture === row));
await runPythonJson('matrix_models.py', [], {
  keep_going: true,
  models: used.map(({ name, task, config }, i) => ({ output: modelOf(name), task, config, seed: 1 + i })),
  adapters: all.map(({ architecture: { name, task }, config }, i) => ({
    model: modelOf(name),
    task,
    config,
    output: startOf(i),
    seed: 100 + i,
  })),
});

const files = new Map<string, string>();
for (const { name, task } of used) files.set(name, await writeTrainingFile(folder, task));
const plans: TrainingPlan[] = [];
for (const { architecture, config, method } of all) {
  plans.push(
    await trainingPlan({
      model: modelOf(architecture.name),
      trainingFile: files.get(architecture.name)!,
      peft: parsePeftConfig(config),
      training: {
        precision: 'fp32',
        max_steps: steps,
        n_epochs: 20,
        batch_size: 4,
        learning_rate: method.learningRate,
        warmup_steps: 2,
      },
    }),
  );
}
const reference = await runPythonJson<StepRecord[]>('train.py', [], {
  keep_going: true,
  runs: all.map(({ architecture: { name, task }, config }, i) => ({
    model: modelOf(name),
    task,
    adapter: startOf(i),
    config,
    output: peftOf(i),
    options: plans[i]!.training,
    steps: plans[i]!.steps,
  })),
});

const graft: (GraftRun | Error)[] = [];
for (const [i, cell] of all.entries()) {
  const { name } = cell.architecture;
  const run = runGraft(cell, {
    model: modelOf(name),
    trainingFile: files.get(name)!,
    training: plans[i]!.training,
    start: startOf(i),
    folder: cellFolder(i),
  });
  graft.push(await run.catch((error: Error) => error));
}

const scored = await runPythonJson<PythonScore>('score.py', [], {
  keep_going: true,
  runs: all.flatMap(({ architecture: { name, task } }, i) => {
    const run = graft[i]!;
    const score = (model: string, adapter: string | null) => [
      { model, adapter, task, inputs: probesFor(task), greedy: false },
    ];
    const ofGraft = run instanceof Error ? [] : score(modelOf(name), run.adapter);
    const ofMerged = run instanceof Error || !run.merged ? [] : score(run.merged, null);
    return [...score(modelOf(name), null), ...score(modelOf(name), peftOf(i)), ...ofGraft, ...ofMerged];
  }),
});

const results: Results = new Map();
after(() => {
  const table = drawTable(results);
  console.log(`\n${table}\n`);
  saveTable(table);
});

for (const [i, cell] of all.entries()) {
  const check = (what: string, body: () => Promise<void> | void) =>
    test(`${cell.name}: ${what}`, async () => {
      note(results, cell.name, what, false);
      await body();
      note(results, cell.name, what, true);
    });
  const run = graft[i]!;
  if (run instanceof Error) {
    scored.splice(0, 2); // of the base and of PEFT's adapter
    check('trains', () => {
      throw run;
    });
    continue;
  }
  const model = modelOf(cell.architecture.name);
  const probes = probesFor(cell.architecture.task);
  const [ofBase, ofPeft, ofGraft] = scored.splice(0, 3) as [PythonScore, PythonScore, PythonScore];
  const ofMerged = run.merged ? scored.shift()! : null;

  check('20 steps lose what PyTorch and HF PEFT lose', () => {
    const expected = reference[i]!.map(({ loss }) => loss);
    assert.equal(expected.length, steps, 'PEFT could not train it');
    const differences = expected.map((loss, step) => Math.abs(loss - run.losses[step]!));
    assert.equal(run.losses.length, steps);
    assert.ok(Math.max(...differences) < tolerance.loss, `differences: ${differences.join(' ')}`);
    assert.ok(expected.at(-1)! < expected[0]!, `nothing was learned: ${expected.join(' ')}`);
  });
  check("PEFT's adapter in Graft", async () => {
    const difference = largestDifference(ofPeft.logprobs, await graftOutputs(model, peftOf(i), probes));
    assert.ok(difference < tolerance.output, `outputs differ by ${difference}`);
    const moved = largestDifference(ofPeft.logprobs, ofBase.logprobs);
    assert.ok(moved > 100 * tolerance.output, `the adapter moves the outputs by ${moved} only`);
  });
  check("Graft's adapter in PEFT", async () => {
    assert.deepEqual(ofGraft.mismatch, { missing: [], unexpected: [], shapes: [], values: [] });
    const difference = largestDifference(ofGraft.logprobs, await graftOutputs(model, run.adapter, probes));
    assert.ok(difference < tolerance.output, `outputs differ by ${difference}`);
  });
  if (ofMerged)
    check('merged', async () => {
      const own = await graftOutputs(run.merged!, null, probes);
      const differences = [ofMerged.logprobs, own].map((rows) => largestDifference(rows, ofGraft.logprobs));
      assert.ok(
        Math.max(...differences) < tolerance.output,
        `outputs differ by ${differences.join(' and ')}`,
      );
    });
  check('gradients are those of finite differences, and only the adapter moves', () => {
    const { gradientError, moved, still } = run.checked;
    const limit = cell.architecture.corners ? 0.03 : 0.01;
    if (!cell.method.partialGradient) assert.ok(gradientError < limit, `relative error ${gradientError}`);
    assert.deepEqual({ moved, still }, { moved: [], still: [] });
  });
  check('stopped and resumed, the same bytes', () => {
    assert.ok(run.resumed.whole.equals(run.resumed.resumed));
  });
}
