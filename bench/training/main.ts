/**
 * npm run bench: Graft against PyTorch + HF PEFT on real models: same weights, data, batches, dtype and steps, each side in a separate
 * process, one step each in turn. Reports the ratio of each pair of steps (median and quartiles), each process's peak memory, and the
 * share of the matrix products' peak throughput that a step reaches.
 * `--help` lists the options.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { inLockStep } from './lock-step.ts';
import { modelFolder } from './models.ts';
import { optionsOf } from './options.ts';
import { plansFor } from './plans.ts';
import { type Comparison, compare, describeMachine, excludedSteps, markdown } from './report.ts';
import { type Precision, type SideName, startSide } from './sides.ts';
import { measureStart, startTable } from './start.ts';
import { formatVerdicts, verdictsOn } from './targets.ts';
import { adapters, type Recipe, recipes, workloadOf } from './workloads.ts';
import { type Run, writeDocs } from './write-docs.ts';

const options = optionsOf(process.argv.slice(2));
if (options.list) {
  console.log(Object.keys(recipes).join('\n'));
  process.exit(0);
}
const { steps: given, sides, words } = options;
const precisions: Precision[] = ['fp32', 'bf16'];
const chosen = <T extends string>(all: T[]): T[] => {
  const named = all.filter((one) => words.includes(one));
  return named.length > 0 ? named : all;
};
const log = options.json ? console.error : console.log;

const folder = await mkdtemp(join(tmpdir(), 'graft-bench-'));
try {
  const python = await pythonEnvironment();
  const start = options.start
    ? await measureStart({ steps: given, withDemo: options.demo }, (line) => log(line))
    : undefined;
  const comparisons = start ? [] : await measureAll();
  const run: Run = {
    title: `Graft and PyTorch + HF PEFT, ${given - excludedSteps} pairs of steps`,
    machine: describeMachine(python),
    comparisons,
    start,
  };
  if (options.json) console.log(JSON.stringify(run));
  const report = `${markdown(comparisons, run.machine, run.title)}${start ? `\n${startTable(start)}` : ''}`;
  await mkdir(options.output, { recursive: true });
  await writeFile(join(options.output, 'training.md'), report);
  await writeFile(join(options.output, 'training.json'), `${JSON.stringify(run, null, 2)}\n`);
  log(`\n${report}\nwritten to ${options.output}/training.md and training.json`);
  if (options.writeDocs) await writeDocs(run);
  if (options.check) {
    const verdicts = verdictsOn(run);
    log(`\n${formatVerdicts(verdicts) || 'No target is about what was measured.'}`);
    if (verdicts.some(({ holds }) => !holds)) process.exitCode = 1;
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function measureAll(): Promise<Comparison[]> {
  const wanted = options.precision ? [options.precision] : chosen(precisions);
  const named: [string, Recipe][] = options.data
    ? [[options.data, await ownData(options.data)]]
    : chosen(Object.keys(recipes)).map((name) => [name, recipes[name]!]);
  const measured = named.filter(([name, recipe]) => isAccepted(name, recipe));
  const comparisons: Comparison[] = [];
  for (const precision of wanted)
    for (const [name, recipe] of measured)
      if (recipe.precisions.includes(precision)) comparisons.push(await measure(name, recipe, precision));
  return comparisons;
}

/** Whether the terms of use of its model are accepted; logs that they are not. */
function isAccepted(name: string, { terms }: Recipe): boolean {
  const accepted = (process.env.GRAFT_ACCEPTED_TERMS ?? '').split(',').map((each) => each.trim());
  if (terms === undefined || accepted.includes(terms)) return true;
  log(`${name} is left out: GRAFT_ACCEPTED_TERMS does not name ${terms}`);
  return false;
}

async function ownData(file: string): Promise<Recipe> {
  const { batchSize } = options;
  await readFile(file);
  return {
    model: 'SmolLM2-135M',
    precisions,
    batchSize,
    peft: adapters.small,
    data: async () => resolve(file),
  };
}

async function measure(name: string, recipe: Recipe, precision: Precision): Promise<Comparison> {
  const model = await modelFolder(recipe.model, precision, folder, (line) => log(line));
  const workload = await workloadOf(name, recipe, model, folder);
  const steps = Math.min(given, recipe.maxSteps ?? given);
  const outputDir = join(folder, 'adapter');
  const { tokens, ...plans } = await plansFor(workload, { model, precision, steps, outputDir });
  const able = sides.filter((side) => suits(side, recipe));
  log(`${name}, ${precision}: ${able.join(' and ')} in turn`);
  const started = await Promise.all(able.map((side) => startSide(side, plans, precision, folder)));
  await inLockStep(started, steps, (step) => {
    const took = started.map(({ name, steps }) => `${name} ${steps.at(-1)!.seconds.toFixed(2)} s`);
    log(`  step ${step}/${steps}  ${took.join('  ')}`);
  });
  const comparison = compare({ name, precision, tokens, flops: plans.wall.flops }, started);
  for (const { name, speedup, peakBytes } of comparison.sides)
    log(`  ${name}: ${speedup.median.toFixed(2)}× its time, peak ${(peakBytes / 1e9).toFixed(2)} GB`);
  return comparison;
}

function suits(side: SideName, { alone, peft, training }: Recipe): boolean {
  if (side === 'peft') return !alone;
  if (side === 'qlora') return training?.base_dtype === 'nf4';
  return side !== 'expert' || !(alone || 'task_type' in peft);
}
