/**
 * npm run bench:families -- [--only FAMILY,…] [--steps 4] [--tokens 512] [--precision bf16]: trains four layers of each family at the
 * widths of published models, beside a model of the reference family with the same matrix products. Both take a step in turn, each in a
 * separate process. Reports
 * the ratio of their steps (at most 1.15 wanted), and each process's peak memory beside its estimate (± 15 %).
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  defaultPeft,
  type PeftConfig,
  parsePeftConfig,
  type ResolvedTraining,
  resolveTraining,
} from '@graft/peft-core/config';
import { estimateTraining, sampleExamples } from '@graft/peft-core/estimate';
import { openBaseModel } from '@graft/peft-core/files';
import { environmentFor, threadCount } from '@graft/peft-core/precision';
import { loadTokenizer } from '@graft/peft-core/text';
import { plainTable } from '../../scripts/methods/markdown-table.ts';
import { benchOptions } from '../options.ts';
import { inLockStep, Side } from '../training/lock-step.ts';
import { median } from '../training/report.ts';
import { published, withSameProducts, writeModel } from './models.ts';

/** The input of a one-model.ts process. */
export interface Plan {
  model: string;
  trainingFile: string;
  peft: PeftConfig;
  training: ResolvedTraining;
  outputDir: string;
}

/** Steps that are not counted: the first ones trace and warm up. */
const EXCLUDED = 2;
const options = benchOptions(
  { steps: 6, tokens: 512 },
  { only: { type: 'string', default: '' }, precision: { type: 'string', default: 'bf16' } },
  { steps: EXCLUDED + 1 },
);
const precision = options.precision === 'fp32' ? 'fp32' : 'bf16';
const only = options.only.split(',').filter(Boolean);
const stray = only.find((name) => !published.has(name));
if (stray) throw new Error(`--only: ${stray} is none of ${[...published.keys()].join(', ')}`);

const folder = await mkdtemp(join(tmpdir(), 'graft-families-'));
const rows: string[][] = [];
const header = ['family', 'ms', 'reference ms', 'ratio', 'by CPU time', 'GB', 'estimated', 'ratio'];
try {
  for (const [name, config] of published) {
    if (only.length > 0 && !only.includes(name)) continue;
    rows.push(await measure(name, config));
    console.log(rows.at(-1)!.join('  '));
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(
  `\n${options.tokens} tokens a step, ${precision}, the default method\n\n${plainTable(header, rows)}`,
);

async function measure(name: string, config: Parameters<typeof withSameProducts>[0]): Promise<string[]> {
  const own = join(folder, name);
  await mkdir(own);
  const plans = [
    await planOf(await writeModel(own, 'family', config), own),
    await planOf(await writeModel(own, 'reference', withSameProducts(config)), own),
  ];
  const sides = await Promise.all(plans.map((plan, i) => startSide(i === 0 ? name : 'reference', plan)));
  await inLockStep(sides, options.steps, (step) =>
    console.log(`  ${name}: step ${step} of ${options.steps}`),
  );
  const [family, reference] = sides.map(({ steps }) => steps.slice(EXCLUDED)) as [
    Side['steps'],
    Side['steps'],
  ];
  const ratios = (value: (step: Side['steps'][0]) => number) =>
    median(family.map((step, i) => value(step) / value(reference[i]!))).toFixed(2);
  const milliseconds = (steps: Side['steps']) =>
    (1000 * median(steps.map(({ seconds }) => seconds))).toFixed(0);
  const peak = family.at(-1)!.peak;
  const estimated = await estimateOf(plans[0]!);
  await rm(own, { recursive: true });
  return [
    name,
    milliseconds(family),
    milliseconds(reference),
    ratios(({ seconds }) => seconds),
    ratios(({ cpu }) => cpu!),
    (peak / 1e9).toFixed(2),
    (estimated / 1e9).toFixed(2),
    (estimated / peak).toFixed(2),
  ];
}

async function planOf(model: string, own: string): Promise<Plan> {
  const peft = parsePeftConfig(defaultPeft);
  const trainingFile = join(own, 'texts.jsonl');
  // A byte is a token of these models.
  const text = (line: number) =>
    'graft trains adapters '.repeat(options.tokens).slice(line, line + options.tokens);
  const lines = Array.from({ length: options.steps }, (_, line) => JSON.stringify({ text: text(line) }));
  await writeFile(trainingFile, `${lines.join('\n')}\n`);
  const training = resolveTraining({
    peft,
    training: { precision, batch_size: 1, max_steps: options.steps + 1, max_seq_length: options.tokens },
    exampleCount: lines.length,
  });
  return { model, trainingFile, peft, training, outputDir: `${model}-adapter` };
}

async function startSide(name: string, plan: Plan): Promise<Side> {
  const file = `${plan.model}-plan.json`;
  await writeFile(file, JSON.stringify(plan));
  const script = fileURLToPath(new URL('one-model.ts', import.meta.url));
  return new Side(name, process.execPath, [...process.execArgv, script, file], {
    TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? '2',
    ...environmentFor(precision),
  });
}

async function estimateOf({ model, trainingFile, peft, training }: Plan): Promise<number> {
  const base = await openBaseModel(model);
  try {
    const modelConfig = base.config;
    const data = await sampleExamples({
      trainingFile,
      peft,
      training,
      modelConfig,
      tokenizer: loadTokenizer(base.tokenizerFiles),
      counts: { training_file: [options.steps], validation_file: [] },
    });
    const machine = { device: 'cpu', kernels: true, precision, threads: threadCount(), flops: null } as const;
    return estimateTraining({ modelConfig, peft, training, data }, machine).peakMemoryBytes;
  } finally {
    await base.close();
  }
}
