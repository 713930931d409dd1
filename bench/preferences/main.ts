/**
 * npm run bench:preferences: training on preferences (dpo) in Graft against TRL's DPOTrainer with PEFT on SmolLM2-135M: same weights,
 * starting adapter, pairs, batches, precision and steps, each side in a separate process, one step each in turn. Reports the ratios of
 * pairs of steps, by time per token, without and with the reference pass, and each process's peak memory. In fp32 it fails where the
 * losses of the first step differ.
 * npm run bench:preferences -- [--only bike-shop,bf16] [--sides graft,trl,trl-kept,expert] [--steps 12] [--output data/bench]
 *   --only   words that narrow what runs: pairs (bike-shop, long-answers) and precisions
 *   --sides  the first is compared with the others, see sides.ts
 */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { runPython } from '../../scripts/golden/environment/run-python.ts';
import { benchOptions } from '../options.ts';
import { inLockStep } from '../training/lock-step.ts';
import { modelFolder } from '../training/models.ts';
import { describeMachine, facts } from '../training/report.ts';
import type { Precision } from '../training/sides.ts';
import { adapters } from '../training/workloads.ts';
import { batchSize, plansFor, recipes } from './plans.ts';
import { type Comparison, compare, excludedSteps, lossFault, table } from './report.ts';
import { byLength, type SideName, sideNames, startSide, tokensOf } from './sides.ts';

const options = benchOptions(
  { steps: 12 },
  {
    only: { type: 'string', default: '' },
    sides: { type: 'string', default: sideNames.join(',') },
    output: { type: 'string', default: 'data/bench' },
  },
  { steps: excludedSteps + 1 },
);
const precisions: Precision[] = ['fp32', 'bf16'];
const words = options.only.split(',').filter((word) => word !== '');
const unknown = words.find((word) => !(word in recipes) && !precisions.includes(word as Precision));
if (unknown !== undefined)
  throw new Error(`--only: ${unknown} is none of ${[...Object.keys(recipes), ...precisions].join(', ')}`);
const sides = options.sides.split(',') as SideName[];
const stray = sides.find((name) => !sideNames.includes(name));
if (stray !== undefined) throw new Error(`--sides: ${stray} is none of ${sideNames.join(', ')}`);
const chosen = <T extends string>(all: T[]): T[] => {
  const named = all.filter((one) => words.includes(one));
  return named.length > 0 ? named : all;
};

const folder = await mkdtemp(join(tmpdir(), 'graft-bench-'));
try {
  const start = await startingAdapter();
  const comparisons: Comparison[] = [];
  for (const precision of chosen(precisions))
    for (const recipe of chosen(Object.keys(recipes)))
      comparisons.push(await measure(recipe, precision, start));
  const machine = { ...describeMachine(await pythonEnvironment()), TRL: await versionOfTrl() };
  const report = `# dpo: Graft and TRL, ${options.steps - excludedSteps} pairs of steps\n\n${facts(machine)}\n\n${table(comparisons)}`;
  await mkdir(options.output, { recursive: true });
  await writeFile(join(options.output, 'preferences.md'), report);
  await writeFile(
    join(options.output, 'preferences.json'),
    `${JSON.stringify({ machine, comparisons }, null, 2)}\n`,
  );
  console.log(`\n${report}\nwritten to ${options.output}/preferences.md and preferences.json`);
  const faults = comparisons.map(lossFault).filter((fault) => fault !== null);
  if (faults.length > 0) throw new Error(faults.join('\n'));
} finally {
  await rm(folder, { recursive: true, force: true });
}

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

async function measure(recipe: string, precision: Precision, start: string): Promise<Comparison> {
  const { steps } = options;
  const model = await modelFolder('SmolLM2-135M', precision, folder, console.log);
  const plans = await plansFor(recipe, { model, start, precision, steps, folder });
  const { pairs } = plans.trl;
  console.log(`${recipe}, ${precision}: ${sides.join(' and ')} in turn`);
  const started = await Promise.all(sides.map((side) => startSide(side, plans, precision, folder)));
  await inLockStep(started, 1 + steps, (step) => {
    const took = started.map(({ name, steps }) => {
      const { seconds, loss } = steps.at(-1)!;
      return `${name} ${seconds.toFixed(2)} s, loss ${loss.toFixed(4)}`;
    });
    console.log(`  ${step === 1 ? 'reference' : `step ${step - 1}/${steps}`}  ${took.join('  ')}`);
  });
  const tokensPerStep = (all: typeof pairs) =>
    Array.from({ length: steps }, (_, i) =>
      all.slice(i * batchSize, (i + 1) * batchSize).reduce((sum, pair) => sum + tokensOf(pair), 0),
    );
  return compare(
    recipe,
    precision,
    started.map(({ name, steps }) => ({
      name,
      steps,
      tokens: tokensPerStep(name === 'expert' ? byLength(pairs, batchSize) : pairs),
    })),
  );
}
