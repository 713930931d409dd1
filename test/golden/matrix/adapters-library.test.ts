/**
 * BOTTLENECK on every architecture: Graft against transformers and the `adapters` library on tiny random models, in fp32.
 * GRAFT_MATRIX narrows it to cells whose name (`llama × seq_bn`) contains one of these parts, with commas between.
 */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type BottleneckConfig, parsePeftConfig } from '@graft/peft-core/config';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { type TrainingPlan, trainingPlan } from '../../../scripts/golden/training-plan.ts';
import { bottleneckRows } from './adapters-methods.ts';
import { largestDifference } from '../fixtures/graft-outputs.ts';
import { architectures } from './architectures.ts';
import { type Cell, cells } from './cells.ts';
import { writeTrainingFile } from './data.ts';
import { type GraftRun, runGraft } from './graft-side.ts';
import { graftOutputs } from './outputs.ts';
import { probesFor } from './probes.ts';
import { drawTable, note, type Results, saveTable } from './table.ts';
import type { PythonScore } from '../fixtures/score-in-python.ts';
import { scratchFolder } from '../fixtures/scratch-folder.ts';
import type { StepRecord } from '../fixtures/training-comparison.ts';

// Finite differences step over the bend of a relu here and there.
const tolerance = { output: 1e-4, loss: 1e-3, gradient: 0.01, bentGradient: 0.1 };
const steps = 20;
const folder = scratchFolder('bottleneck');
const all = cells(bottleneckRows, {});
assert.ok(all.length > 0, 'GRAFT_MATRIX matches no cell');
const modelOf = (architecture: string) => join(folder, 'models', architecture);
const cellFolder = (i: number) => join(folder, 'cells', String(i));
const startOf = (i: number) => join(cellFolder(i), 'start');
const libraryOf = (i: number) => join(cellFolder(i), 'library');
const inLibrary = <T>(plan: Record<string, unknown>) =>
  runPythonJson<T>('adapters_library.py', [], plan, { library: 'adapters' });
/** BnConfig's fields, and `preset`. */
const libraryConfig = ({ config: { peft_type: _, task_type: __, ...fields } }: Cell) => fields;

const used = architectures.filter((row) => all.some((cell) => cell.architecture === row));
await inLibrary({
  models: used.map((row) => ({
    output: modelOf(row.name),
    task: row.task,
    config: row.config,
    seed: 1 + architectures.indexOf(row),
  })),
  adapters: all.map((cell, i) => ({
    model: modelOf(cell.architecture.name),
    task: cell.architecture.task,
    config: libraryConfig(cell),
    output: startOf(i),
    seed: cell.seed + 10 * architectures.indexOf(cell.architecture),
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
        gradient_checkpointing: method.variant === true,
      },
    }),
  );
}

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

const answers = await inLibrary<StepRecord[] | PythonScore>({
  trainings: all.map(({ architecture: { name, task } }, i) => ({
    model: modelOf(name),
    task,
    adapter: startOf(i),
    output: libraryOf(i),
    options: plans[i]!.training,
    steps: plans[i]!.steps,
  })),
  scores: all.flatMap(({ architecture: { name, task } }, i) => {
    const run = graft[i]!;
    const inputs = probesFor(task);
    const score = (adapter: string | null) => ({ model: modelOf(name), adapter, task, inputs });
    return [score(null), score(libraryOf(i)), ...(run instanceof Error ? [] : [score(run.adapter)])];
  }),
});
const reference = answers.filter((answer): answer is StepRecord[] => Array.isArray(answer));
const scored = answers.filter((answer): answer is PythonScore => !Array.isArray(answer));

const results: Results = new Map();
after(() => {
  const table = drawTable(results, bottleneckRows, {});
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
  const [ofBase, ofLibrary] = scored.splice(0, 2) as [PythonScore, PythonScore];
  if (run instanceof Error) {
    check('trains', () => {
      throw run;
    });
    continue;
  }
  const model = modelOf(cell.architecture.name);
  const probes = probesFor(cell.architecture.task);
  const ofGraft = scored.shift()!;

  check('20 steps lose what PyTorch and adapters lose', () => {
    const expected = reference[i]!.map(({ loss }) => loss);
    const differences = expected.map((loss, step) => Math.abs(loss - run.losses[step]!));
    assert.equal(run.losses.length, steps);
    assert.ok(Math.max(...differences) < tolerance.loss, `differences: ${differences.join(' ')}`);
    // The losses of single batches go up and down with their examples.
    const mean = (losses: number[]) => losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    const learned = mean(expected.slice(0, 6)) - mean(expected.slice(-6));
    assert.ok(learned > 0, `nothing was learned: ${expected.join(' ')}`);
  });
  check("the library's adapter in Graft", async () => {
    const own = await graftOutputs(model, libraryOf(i), probes);
    const difference = largestDifference(ofLibrary.logprobs, own);
    assert.ok(difference < tolerance.output, `outputs differ by ${difference}`);
    const moved = largestDifference(ofLibrary.logprobs, ofBase.logprobs);
    assert.ok(moved > 100 * tolerance.output, `the adapter moves the outputs by ${moved} only`);
  });
  check("Graft's adapter in the library", async () => {
    assert.deepEqual(ofGraft.mismatch, { missing: [], unexpected: [], shapes: [], values: [] });
    const difference = largestDifference(ofGraft.logprobs, await graftOutputs(model, run.adapter, probes));
    assert.ok(difference < tolerance.output, `outputs differ by ${difference}`);
  });
  check("Graft's JSON files are the library's, byte for byte", async () => {
    const names = (await readdir(run.adapter)).filter((name) => name.endsWith('.json'));
    for (const name of names) {
      const expected = await readFile(join(libraryOf(i), name), 'utf8');
      const written: string = await readFile(join(run.adapter, name), 'utf8');
      assert.equal(written, expected.replace('"name": "reference"', '"name": "graft"'), name);
    }
    assert.ok(names.includes('adapter_config.json'));
  });
  check('gradients are those of finite differences, and only the adapter moves', () => {
    const { gradientError, moved, still } = run.checked;
    const { non_linearity } = parsePeftConfig(cell.config) as BottleneckConfig;
    const within = non_linearity.endsWith('relu') ? tolerance.bentGradient : tolerance.gradient;
    assert.ok(gradientError < within, `relative error ${gradientError}`);
    assert.deepEqual({ moved, still }, { moved: [], still: [] });
  });
  check('stopped and resumed, the same bytes', () => {
    assert.ok(run.resumed.whole.length > 0 && run.resumed.whole.equals(run.resumed.resumed));
  });
}
