import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parsePeftConfig } from '@graft/peft-core/config';
import { type TrainingPlan, trainingPlan } from '../../../scripts/golden/training-plan.ts';
import { graftOutputs, largestDifference } from '../fixtures/graft-outputs.ts';
import type { PythonScore } from '../fixtures/score-in-python.ts';
import { scratchFolder } from '../fixtures/scratch-folder.ts';
import type { ArchitectureRow } from './architectures.ts';
import { type Cell, cells } from './cells.ts';
import { writeTrainingFile } from './data.ts';
import { type GraftRun, runGraft } from './graft-side.ts';
import type { Library } from './library.ts';
import { probesFor } from './probes.ts';
import { drawTable, note, type Results, saveTable } from './table.ts';

const tolerance = { output: 1e-4, loss: 1e-3 };
/**
 * Where tokens choose experts: a processor that rounds in another way makes a token choose another of two experts that are nearly equal, and
 * then its outputs jump.
 */
const toleranceOfExperts = { output: 1e-3, loss: 1e-2 };
const toleranceOf = ({ names }: ArchitectureRow) => (names.experts ? toleranceOfExperts : tolerance);
const steps = 20;

/** A cell that Graft trained, and its outputs by the Python library; of the base model and the library's own adapter as well. */
interface Trained {
  cell: Cell;
  folder: string;
  model: string;
  run: GraftRun;
  losses: number[];
  scores: { base: PythonScore; library: PythonScore; graft: PythonScore; merged: PythonScore | null };
}

/**
 * Every method of a library on each of these architectures: Graft against it and transformers on tiny random models, in fp32.
 * Variables of the environment select fewer cells: see cells.ts.
 */
export async function testMatrix(library: Library, architectures: readonly ArchitectureRow[]): Promise<void> {
  const all = cells(library.methods, architectures);
  if (all.length === 0) return test('no cell is selected', { skip: true }, () => {});
  const folder = scratchFolder('matrix');
  const modelOf = ({ name }: ArchitectureRow) => join(folder, 'models', name);
  const folderOf = (i: number) => join(folder, 'cells', String(i));

  const used = architectures.filter((row) => all.some((cell) => cell.architecture === row));
  await library.make({
    models: used.map((row) => ({
      output: modelOf(row),
      task: row.task,
      config: row.config,
      seed: row.seed ?? 1 + architectures.indexOf(row),
    })),
    adapters: all.map((cell, i) => ({
      cell,
      model: modelOf(cell.architecture),
      output: startIn(folderOf(i)),
    })),
  });

  const files = new Map<ArchitectureRow, string>();
  for (const row of used) files.set(row, await writeTrainingFile(folder, row.task));
  const plans: TrainingPlan[] = [];
  for (const cell of all) {
    plans.push(
      await trainingPlan({
        model: modelOf(cell.architecture),
        trainingFile: files.get(cell.architecture)!,
        peft: parsePeftConfig(cell.config),
        training: {
          precision: 'fp32',
          max_steps: steps,
          n_epochs: 20,
          batch_size: 4,
          learning_rate: cell.method.learningRate,
          warmup_steps: 2,
          ...library.training(cell),
        },
      }),
    );
  }
  // Python trains while Graft does: each keeps about one core busy.
  const trainings = library.train(
    all.map((cell, i) => ({
      cell,
      model: modelOf(cell.architecture),
      adapter: startIn(folderOf(i)),
      output: libraryIn(folderOf(i)),
      options: plans[i]!.training,
      steps: plans[i]!.steps,
    })),
  );
  const runs: (GraftRun | Error)[] = [];
  for (const [i, cell] of all.entries()) {
    const run = runGraft(cell, {
      model: modelOf(cell.architecture),
      trainingFile: files.get(cell.architecture)!,
      training: plans[i]!.training,
      start: startIn(folderOf(i)),
      folder: folderOf(i),
    });
    runs.push(await run.catch((error: Error) => error));
  }
  const records = await trainings;

  const scores = await library.score([
    ...used.map((row) => scoreOf(row, modelOf(row), null)),
    ...all.flatMap(({ architecture }, i) => {
      const model = modelOf(architecture);
      const run = runs[i]!;
      const graftScores = run instanceof Error ? [] : [scoreOf(architecture, model, run.adapter)];
      const mergedScores =
        run instanceof Error || !run.merged ? [] : [scoreOf(architecture, run.merged, null)];
      return [scoreOf(architecture, model, libraryIn(folderOf(i))), ...graftScores, ...mergedScores];
    }),
  ]);
  const bases = new Map(used.map((row) => [row, scores.shift()!]));

  const results: Results = new Map();
  after(() => {
    const table = drawTable(results, library.methods, library.reasons, architectures);
    console.log(`\n${table}\n`);
    saveTable(table);
  });
  for (const [i, cell] of all.entries()) {
    const check: Check = (what, body) =>
      test(`${cell.name}: ${what}`, async () => {
        note(results, cell.name, what, false);
        await body();
        note(results, cell.name, what, true);
      });
    const run = runs[i]!;
    const libraryScore = scores.shift()!;
    if (run instanceof Error) {
      check('trains', () => {
        throw run;
      });
      continue;
    }
    const losses = records[i]!.map(({ loss }) => loss);
    const base = bases.get(cell.architecture)!;
    const [graft, merged] = [scores.shift()!, run.merged ? scores.shift()! : null];
    const of = { base, library: libraryScore, graft, merged };
    checkCell(check, library, {
      cell,
      folder: folderOf(i),
      model: modelOf(cell.architecture),
      run,
      losses,
      scores: of,
    });
  }
}

const startIn = (cellFolder: string) => join(cellFolder, 'start');
const libraryIn = (cellFolder: string) => join(cellFolder, 'library');
const scoreOf = ({ task }: ArchitectureRow, model: string, adapter: string | null) => ({
  model,
  task,
  adapter,
  inputs: probesFor(task),
});

type Check = (what: string, body: () => Promise<void> | void) => void;

function checkCell(
  check: Check,
  library: Library,
  { cell, folder, model, run, losses, scores }: Trained,
): void {
  const probes = probesFor(cell.architecture.task);
  const libraryAdapter = libraryIn(folder);
  const bounds = toleranceOf(cell.architecture);
  check(`${steps} steps lose what PyTorch and ${library.name} lose`, () => {
    assert.equal(losses.length, steps, `${library.name} could not train it`);
    const differences = losses.map((loss, step) => Math.abs(loss - run.losses[step]!));
    assert.equal(run.losses.length, steps);
    assert.ok(Math.max(...differences) < bounds.loss, `differences: ${differences.join(' ')}`);
    // Before a choice has changed, the steps are equal.
    assert.ok(Math.max(...differences.slice(0, 5)) < tolerance.loss, `differences: ${differences.join(' ')}`);
    // The losses of single batches go up and down with their examples.
    const mean = (some: number[]) => some.reduce((sum, loss) => sum + loss, 0) / some.length;
    const learned = mean(losses.slice(0, 6)) - mean(losses.slice(-6));
    assert.ok(learned > 0, `nothing was learned: ${losses.join(' ')}`);
  });
  check(`the adapter of ${library.name} in Graft`, async () => {
    const own = await graftOutputs(model, libraryAdapter, probes);
    const difference = largestDifference(scores.library.logprobs, own);
    assert.ok(difference < bounds.output, `outputs differ by ${difference}`);
    const moved = largestDifference(scores.library.logprobs, scores.base.logprobs);
    assert.ok(moved > 100 * tolerance.output, `the adapter moves the outputs by ${moved} only`);
  });
  check(`Graft's adapter in ${library.name}`, async () => {
    assert.deepEqual(scores.graft.mismatch, { missing: [], unexpected: [], shapes: [], values: [] });
    const own = await graftOutputs(model, run.adapter, probes);
    const difference = largestDifference(scores.graft.logprobs, own);
    assert.ok(difference < bounds.output, `outputs differ by ${difference}`);
  });
  library.checkFiles(check, {
    cell,
    model,
    graft: run.adapter,
    library: libraryAdapter,
    again: join(folder, 'again'),
  });
  const { merged } = scores;
  if (merged)
    check('merged', async () => {
      const own = await graftOutputs(run.merged!, null, probes);
      const differences = [merged.logprobs, own].map((rows) =>
        largestDifference(rows, scores.graft.logprobs),
      );
      assert.ok(Math.max(...differences) < bounds.output, `outputs differ by ${differences.join(' and ')}`);
    });
  check('gradients are those of finite differences, and only the adapter moves', () => {
    const { gradientError, moved, still } = run.checked;
    const limit = library.gradientLimit(cell);
    const jumps = cell.architecture.jumps || (cell.method.jumpsOnExperts && cell.architecture.names.experts);
    if (!cell.method.partialGradient && !jumps)
      assert.ok(gradientError < limit, `relative error ${gradientError}`);
    assert.deepEqual({ moved, still }, { moved: [], still: [] });
  });
  check('stopped and resumed, the same bytes', () => {
    const { whole, resumed } = run.resumed;
    assert.ok(whole.length > 0 && whole.equals(resumed));
  });
}
