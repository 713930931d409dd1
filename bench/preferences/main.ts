/**
 * npm run bench:preferences: training on preferences (dpo) in Graft against TRL's DPOTrainer with PEFT on SmolLM2-135M: same weights,
 * starting adapter, pairs, batches, precision and steps, each side in a separate process, one step each in turn. Reports the ratios of
 * pairs of steps, by time per token, without and with the reference pass, and each process's peak memory. In fp32 it fails where the
 * losses of the first step differ.
 * npm run bench:preferences -- [--only bike-shop,bf16] [--sides graft,trl,trl-kept,expert] [--steps 12] [--output data/bench]
 *   --only   words that narrow what runs: pairs (bike-shop, long-answers) and precisions
 *   --sides  the first is compared with the others, see sides.ts
 *   --steps  the first 2 are not counted
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { chosenOf, commandLine, listOf } from '../../scripts/command-line.ts';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { runPython } from '../../scripts/golden/environment/run-python.ts';
import { inLockStep } from '../../scripts/measuring/processes.ts';
import { type Comparison, describeMachine, facts, sum, writeReport } from '../../scripts/measuring/report.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';
import { modelFolder } from '../training/models.ts';
import { type Precision, precisions } from '../training/sides.ts';
import { adapters } from '../training/workloads.ts';
import { batchSize, plansFor, recipes } from './plans.ts';
import { compare, excludedSteps, lossFault, type PreferenceFigures, table } from './report.ts';
import { byLength, sideNames, startSide, tokensOf } from './sides.ts';

const { steps, ...options } = commandLine(
  {
    only: { type: 'string', default: '' },
    sides: { type: 'string', default: sideNames.join(',') },
    output: { type: 'string', default: 'data/bench' },
  },
  { steps: 12 },
  { steps: excludedSteps + 1 },
);
const words = listOf('only', options.only, [...Object.keys(recipes), ...precisions]);
const sides = listOf('sides', options.sides, sideNames);

const folder = scratchFolder('bench');
const start = await startingAdapter();
const comparisons: Comparison<PreferenceFigures>[] = [];
for (const precision of chosenOf(precisions, words))
  for (const recipe of chosenOf(Object.keys(recipes), words))
    comparisons.push(await measure(recipe, precision, start));
const machine = { ...describeMachine(await pythonEnvironment()), TRL: await versionOfTrl() };
const report = `# dpo: Graft and TRL, ${steps - excludedSteps} pairs of steps\n\n${facts(machine)}\n\n${table(comparisons)}`;
console.log(`\n${report}\n${writeReport(options.output, 'preferences', report, { machine, comparisons })}`);
const faults = comparisons.map(lossFault).filter((fault) => fault !== null);
if (faults.length > 0) throw new Error(faults.join('\n'));

async function versionOfTrl(): Promise<string> {
  const script = 'import importlib.metadata as m; print(m.version("trl"))';
  return execFileSync(await pythonEnvironment(undefined, 'trl'), ['-c', script], { encoding: 'utf8' }).trim();
}

/** The file of an adapter none of whose tensors is zero: with a fresh one, which is its own reference, every first loss is log 2. */
async function startingAdapter(): Promise<string> {
  const output = join(folder, 'start');
  const model = await modelFolder('SmolLM2-135M', 'fp32', folder, console.log);
  const config = { task_type: 'CAUSAL_LM', ...adapters.small };
  await runPython('matrix_models.py', [], {
    models: [],
    adapters: [{ model, task: 'CAUSAL_LM', config, output, seed: 1 }],
  });
  return join(output, 'start.safetensors');
}

async function measure(
  recipe: string,
  precision: Precision,
  start: string,
): Promise<Comparison<PreferenceFigures>> {
  const model = await modelFolder('SmolLM2-135M', precision, folder, console.log);
  const plans = await plansFor(recipe, { model, start, precision, steps, folder });
  const { pairs } = plans.trl;
  console.log(`${recipe}, ${precision}: ${sides.join(' and ')} in turn`);
  const started = await Promise.all(sides.map((side) => startSide(side, plans, precision)));
  await inLockStep(started, 1 + steps, (step) => {
    const took = started.map(({ name, steps }) => {
      const { seconds, loss } = steps.at(-1)!;
      return `${name} ${seconds.toFixed(2)} s, loss ${loss.toFixed(4)}`;
    });
    console.log(`  ${step === 1 ? 'reference' : `step ${step - 1}/${steps}`}  ${took.join('  ')}`);
  });
  const tokensPerStep = (all: typeof pairs) =>
    Array.from({ length: steps }, (_, i) => sum(all.slice(i * batchSize, (i + 1) * batchSize).map(tokensOf)));
  return compare(
    recipe,
    precision,
    started.map(({ name, steps: [reference, ...steps] }) => ({
      name,
      steps,
      reference: reference!,
      tokens: tokensPerStep(name === 'expert' ? byLength(pairs, batchSize) : pairs),
    })),
  );
}
