/**
 * npm run bench:families -- [--only FAMILY,…] [--steps 6] [--tokens 512] [--precision bf16] [--write-docs]: trains four layers of each
 * family at the widths of published models, beside a model of the reference family with the same matrix products. Both take a step in turn,
 * each in a separate process. Reports the ratio of their steps (at most 1.15 wanted), and the family's peak memory beside its estimate
 * (± 15 %). --write-docs keeps what was measured in results.json and writes the table of docs/base-models.md from all that is there.
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
import { environmentFor } from '@graft/peft-core/precision';
import { replaceSection } from '../../scripts/methods/docs-section.ts';
import { benchOptions } from '../options.ts';
import { inLockStep, Side } from '../training/lock-step.ts';
import { median } from '../training/report.ts';
import { published, withSameProducts, writeModel } from './models.ts';
import { type FamilyFigures, familiesTable, keepFigures, readFigures } from './report.ts';

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
  {
    only: { type: 'string', default: '' },
    precision: { type: 'string', default: 'bf16' },
    'write-docs': { type: 'boolean', default: false },
  },
  { steps: EXCLUDED + 1 },
);
const precision = options.precision === 'fp32' ? 'fp32' : 'bf16';
const only = options.only.split(',').filter(Boolean);
const stray = only.find((name) => !published.has(name));
if (stray) throw new Error(`--only: ${stray} is none of ${[...published.keys()].join(', ')}`);

const folder = await mkdtemp(join(tmpdir(), 'graft-families-'));
const measured: FamilyFigures[] = [];
try {
  for (const [name, config] of published) {
    if (only.length > 0 && !only.includes(name)) continue;
    const figures = await measure(name, config);
    measured.push(figures);
    if (options['write-docs']) keepFigures(figures);
    console.log(familiesTable([figures]));
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(`\nthe default method\n\n${familiesTable(measured)}`);
if (options['write-docs'])
  await replaceSection('docs/base-models.md', 'families measured', familiesTable(readFigures()));

async function measure(name: string, config: Parameters<typeof withSameProducts>[0]): Promise<FamilyFigures> {
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
  await rm(own, { recursive: true });
  const [family, reference] = sides.map(({ steps }) => steps.slice(EXCLUDED)) as [
    Side['steps'],
    Side['steps'],
  ];
  const ratio = (value: (step: Side['steps'][0]) => number) =>
    median(family.map((step, i) => value(step) / value(reference[i]!)));
  const seconds = (steps: Side['steps']) => median(steps.map((step) => step.seconds));
  return {
    family: name,
    tokens: options.tokens,
    precision,
    pairs: family.length,
    seconds: seconds(family),
    referenceSeconds: seconds(reference),
    ratio: ratio((step) => step.seconds),
    cpuRatio: ratio((step) => step.cpu!),
    peakBytes: family.at(-1)!.peak,
  };
}

async function planOf(model: string, own: string): Promise<Plan> {
  const peft = parsePeftConfig(defaultPeft);
  const trainingFile = join(own, 'texts.jsonl');
  // A byte is a token of these models, and one more ends a text.
  const text = (line: number) =>
    'graft trains adapters '.repeat(options.tokens).slice(line, line + options.tokens - 1);
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
