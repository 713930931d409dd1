import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parsePeftConfig } from '@graft/peft-core/config';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { type TrainingPlan, trainingPlan } from '../../../scripts/golden/training-plan.ts';
import { largestDifference } from '../fixtures/graft-outputs.ts';
import type { PythonScore } from '../fixtures/score-in-python.ts';
import { scratchFolder } from '../fixtures/scratch-folder.ts';
import type { StepRecord } from '../fixtures/training-comparison.ts';
import { testFiles } from './adapter-files.ts';
import type { ArchitectureRow } from './architectures.ts';
import { cells } from './cells.ts';
import { writeTrainingFile } from './data.ts';
import { type GraftRun, runGraft } from './graft-side.ts';
import { graftOutputs } from './outputs.ts';
import { probesFor } from './probes.ts';
import { drawTable, note, type Results, saveTable } from './table.ts';

const tolerance = { output: 1e-4, loss: 1e-3 };
const steps = 20;

/**
 * Every PEFT method on each of these architectures: Graft against transformers and HF PEFT on tiny random models, in fp32.
 * GRAFT_MATRIX narrows it to cells whose name (`llama × lora`) contains one of these parts, with commas between.
 */
export async function testMatrix(architectures: readonly ArchitectureRow[]): Promise<void> {
  const all = cells(undefined, undefined, architectures);
  if (all.length === 0) return test('GRAFT_MATRIX matches no cell', { skip: true }, () => {});
  const folder = scratchFolder('matrix');
  const modelOf = (architecture: string) => join(folder, 'models', architecture);
  const cellFolder = (i: number) => join(folder, 'cells', String(i));
  const startOf = (i: number) => join(cellFolder(i), 'start');
  const peftOf = (i: number) => join(cellFolder(i), 'peft');

  const used = architectures.filter((row) => all.some((cell) => cell.architecture === row));
  await runPythonJson('matrix_models.py', [], {
    keep_going: true,
    models: used.map((row) => ({
      output: modelOf(row.name),
      task: row.task,
      config: row.config,
      seed: 1 + architectures.indexOf(row),
    })),
    adapters: all.map(({ architecture: { name, task }, config, seed }, i) => ({
      model: modelOf(name),
      task,
      config,
      output: startOf(i),
      seed,
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
  // Python trains while Graft does: each keeps about one core busy.
  const references = runPythonJson<StepRecord[]>('train.py', [], {
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
  const reference = await references;

  const scored = await runPythonJson<PythonScore>('score.py', [], {
    keep_going: true,
    runs: [
      ...used.map(({ name, task }) => ({
        ...{ model: modelOf(name), adapter: null, task },
        ...{ inputs: probesFor(task), greedy: false },
      })),
      ...all.flatMap(({ architecture: { name, task } }, i) => {
        const run = graft[i]!;
        const score = (model: string, adapter: string | null) => [
          { model, adapter, task, inputs: probesFor(task), greedy: false },
        ];
        const ofGraft = run instanceof Error ? [] : score(modelOf(name), run.adapter);
        const ofMerged = run instanceof Error || !run.merged ? [] : score(run.merged, null);
        return [...score(modelOf(name), peftOf(i)), ...ofGraft, ...ofMerged];
      }),
    ],
  });
  const bases = new Map(used.map((row) => [row, scored.shift()!]));

  const results: Results = new Map();
  after(() => {
    const table = drawTable(results, undefined, undefined, architectures);
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
    const ofPeft = scored.shift()!;
    if (run instanceof Error) {
      check('trains', () => {
        throw run;
      });
      continue;
    }
    const model = modelOf(cell.architecture.name);
    const probes = probesFor(cell.architecture.task);
    const ofBase = bases.get(cell.architecture)!;
    const ofGraft = scored.shift()!;
    const ofMerged = run.merged ? scored.shift()! : null;

    check('20 steps lose what PyTorch and HF PEFT lose', () => {
      const expected = reference[i]!.map(({ loss }) => loss);
      assert.equal(expected.length, steps, 'PEFT could not train it');
      const differences = expected.map((loss, step) => Math.abs(loss - run.losses[step]!));
      assert.equal(run.losses.length, steps);
      assert.ok(Math.max(...differences) < tolerance.loss, `differences: ${differences.join(' ')}`);
      // The losses of single batches go up and down with their examples.
      const mean = (losses: number[]) => losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
      const learned = mean(expected.slice(0, 6)) - mean(expected.slice(-6));
      assert.ok(learned > 0, `nothing was learned: ${expected.join(' ')}`);
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
    testFiles(check, {
      cell,
      model,
      graft: run.adapter,
      peft: peftOf(i),
      again: join(cellFolder(i), 'again'),
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
}
