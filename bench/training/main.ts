/**
 * npm run bench: Graft against PyTorch + HF PEFT on real models: same weights, data, batches, dtype and steps, each side in a separate
 * process, one step each in turn. Reports the ratio of each pair of steps (median and quartiles), each process's peak memory, and the
 * share of the matrix products' peak throughput that a step reaches.
 *
 * npm run bench -- [--only demo,bf16] [--sides graft,peft,wall] [--steps 20] [--output data/bench]
 * npm run bench -- --data FILE.jsonl --batch-size N --precision bf16 [--json]
 * npm run bench -- --start [--demo] [--steps 20]: how soon a worker's job trains, four queued ones, and the demo
 *   --only        words that narrow what runs: workloads (--list) and precisions
 *   --sides       the first is compared with the others: graft, stock (without its kernels), xla (stock, compiled), peft,
 *                 expert (PEFT without padding), qlora (PEFT on bitsandbytes' nf4), wall (a step's matrix products alone)
 *   --steps       the first 3 are not counted
 *   --check       also says which of the targets hold, and fails where one does not
 *   --write-docs  keeps the run, and writes results.md, the pictures of docs/performance.md and README's table from it
 *   --json        one JSON object on standard output, progress on standard error
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { chosenOf, commandLine, listOf } from '../../scripts/command-line.ts';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { inLockStep } from '../../scripts/measuring/processes.ts';
import { describeMachine, gigabytes, times, writeReport } from '../../scripts/measuring/report.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';
import { modelFolder } from './models.ts';
import { plansFor } from './plans.ts';
import { compare, excludedSteps, markdown, type TrainingComparison } from './report.ts';
import { type Precision, precisions, type SideName, sideNames, startSide } from './sides.ts';
import { measureStart, startTable } from './start.ts';
import { formatVerdicts, verdictsOn } from './targets.ts';
import { adapters, type Recipe, recipes, workloadOf } from './workloads.ts';
import { type Run, writeDocs } from './write-docs.ts';

const options = commandLine(
  {
    only: { type: 'string', default: '' },
    sides: { type: 'string', default: 'graft,peft,wall' },
    output: { type: 'string', default: 'data/bench' },
    data: { type: 'string' },
    precision: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    start: { type: 'boolean', default: false },
    demo: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    'write-docs': { type: 'boolean', default: false },
  },
  { steps: 20, 'batch-size': 8 },
  { steps: excludedSteps + 1 },
);
if (options.list) {
  console.log(Object.keys(recipes).join('\n'));
  process.exit(0);
}
const sides = listOf('sides', options.sides, sideNames);
const words = listOf('only', options.only, [...Object.keys(recipes), ...precisions]);
const [precision] = listOf('precision', options.precision, precisions);
const log = options.json ? console.error : console.log;

const folder = scratchFolder('bench');
const python = await pythonEnvironment();
const start = options.start
  ? await measureStart({ steps: options.steps, withDemo: options.demo }, (line) => log(line))
  : undefined;
const run: Run = {
  title: `Graft and PyTorch + HF PEFT, ${options.steps - excludedSteps} pairs of steps`,
  machine: describeMachine(python),
  comparisons: start ? [] : await measureAll(),
  start,
};
if (options.json) console.log(JSON.stringify(run));
const report = `${markdown(run.comparisons, run.machine, run.title)}${start ? `\n${startTable(start)}` : ''}`;
log(`\n${report}\n${writeReport(options.output, 'training', report, run)}`);
if (options['write-docs']) await writeDocs(run);
if (options.check) {
  const verdicts = verdictsOn(run);
  log(`\n${formatVerdicts(verdicts) || 'No target is about what was measured.'}`);
  if (verdicts.some(({ holds }) => !holds)) process.exitCode = 1;
}

async function measureAll(): Promise<TrainingComparison[]> {
  const wanted = precision ? [precision] : chosenOf(precisions, words);
  const named: [string, Recipe][] = options.data
    ? [[options.data, await ownData(options.data)]]
    : chosenOf(Object.keys(recipes), words).map((name) => [name, recipes[name]!]);
  const measured = named.filter(([name, recipe]) => isAccepted(name, recipe));
  const comparisons: TrainingComparison[] = [];
  for (const precision of wanted)
    for (const [name, recipe] of measured)
      if (recipe.precisions.includes(precision)) comparisons.push(await measure(name, recipe, precision));
  return comparisons;
}

/** Returns true if the terms of use of its model are accepted; logs that they are not. */
function isAccepted(name: string, { terms }: Recipe): boolean {
  const accepted = (process.env.GRAFT_ACCEPTED_TERMS ?? '').split(',').map((each) => each.trim());
  if (terms === undefined || accepted.includes(terms)) return true;
  log(`${name} is left out: GRAFT_ACCEPTED_TERMS does not name ${terms}`);
  return false;
}

async function ownData(file: string): Promise<Recipe> {
  await readFile(file);
  return {
    model: 'SmolLM2-135M',
    precisions,
    batchSize: options['batch-size'],
    peft: adapters.small,
    data: async () => resolve(file),
  };
}

async function measure(name: string, recipe: Recipe, precision: Precision): Promise<TrainingComparison> {
  const model = await modelFolder(recipe.model, precision, folder, (line) => log(line));
  const workload = await workloadOf(name, recipe, model, folder);
  const steps = Math.min(options.steps, recipe.maxSteps ?? options.steps);
  const outputDir = join(folder, 'adapter');
  const { tokens, ...plans } = await plansFor(workload, { model, precision, steps, outputDir });
  const able = sides.filter((side) => suits(side, recipe));
  log(`${name}, ${precision}: ${able.join(' and ')} in turn`);
  const started = await Promise.all(able.map((side) => startSide(side, plans, precision)));
  await inLockStep(started, steps, (step) => {
    const took = started.map(({ name, steps }) => `${name} ${steps.at(-1)!.seconds.toFixed(2)} s`);
    log(`  step ${step}/${steps}  ${took.join('  ')}`);
  });
  const comparison = compare({ name, precision, tokens, flops: plans.wall.flops }, started);
  for (const { name, speedup, peakBytes } of comparison.sides)
    log(`  ${name}: ${times(speedup.median)} its time, peak ${gigabytes(peakBytes)} GB`);
  return comparison;
}

function suits(side: SideName, { alone, peft, training }: Recipe): boolean {
  if (side === 'peft') return !alone;
  if (side === 'qlora') return training?.base_dtype === 'nf4';
  return side !== 'expert' || !(alone || 'task_type' in peft);
}
