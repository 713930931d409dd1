/**
 * npm run bench:families -- [--only FAMILY,…] [--steps 6] [--tokens 512] [--precision bf16] [--write-docs]: trains four layers of each
 * family at the widths of published models, beside a model of the reference family with the same matrix products. Both take a step in turn,
 * each in a separate process. Reports the ratio of their steps (at most 1.15 wanted), and the family's peak memory beside its estimate
 * (± 15 %). --write-docs keeps what was measured in results.json and writes the table of docs/base-models.md from all that is there.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultPeft, parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { writeRandomModel } from '../../scripts/check-gpu/models.ts';
import { commandLine, listOf } from '../../scripts/command-line.ts';
import { inLockStep, type Side } from '../../scripts/measuring/processes.ts';
import { median, ratios } from '../../scripts/measuring/report.ts';
import { replaceSection } from '../../scripts/methods/docs-section.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';
import { precisions, startGraft } from '../training/sides.ts';
import { published, withSameProducts } from './models.ts';
import { type FamilyFigures, familiesTable, keepFigures, readFigures } from './report.ts';

/** Steps that are not counted: the first ones trace and warm up. */
const EXCLUDED = 2;
const { steps, tokens, ...options } = commandLine(
  {
    only: { type: 'string', default: '' },
    precision: { type: 'string', default: 'bf16' },
    'write-docs': { type: 'boolean', default: false },
  },
  { steps: 6, tokens: 512 },
  { steps: EXCLUDED + 1 },
);
const [precision = 'bf16'] = listOf('precision', options.precision, precisions);
const only = listOf('only', options.only, [...published.keys()]);

const folder = scratchFolder('families');
const measured: FamilyFigures[] = [];
for (const [name, config] of published) {
  if (only.length > 0 && !only.includes(name)) continue;
  const figures = await measure(name, config);
  measured.push(figures);
  if (options['write-docs']) keepFigures(figures);
  console.log(familiesTable([figures]));
}
console.log(`\nthe default method\n\n${familiesTable(measured)}`);
if (options['write-docs'])
  await replaceSection('docs/base-models.md', 'families measured', familiesTable(readFigures()));

async function measure(
  family: string,
  config: Parameters<typeof withSameProducts>[0],
): Promise<FamilyFigures> {
  const own = join(folder, family);
  await mkdir(own);
  const sides: [Side, Side] = [
    await startSide('reference', own, withSameProducts(config)),
    await startSide(family, own, config),
  ];
  await inLockStep(sides, steps, (step) => console.log(`  ${family}: step ${step} of ${steps}`));
  await rm(own, { recursive: true });
  const [reference, other] = sides.map((side) => side.steps.slice(EXCLUDED));
  const seconds = (of: Side['steps']) => median(of.map((step) => step.seconds));
  return {
    family,
    tokens,
    precision,
    pairs: other!.length,
    seconds: seconds(other!),
    referenceSeconds: seconds(reference!),
    ratio: ratios(sides, EXCLUDED).median,
    cpuRatio: ratios(sides, EXCLUDED, 'cpu').median,
    peakBytes: other!.at(-1)!.peak,
  };
}

async function startSide(
  name: string,
  own: string,
  config: Parameters<typeof withSameProducts>[0],
): Promise<Side> {
  const model = join(own, name);
  await writeRandomModel(model, config);
  const peft = parsePeftConfig(defaultPeft);
  const trainingFile = join(own, 'texts.jsonl');
  // A byte is a token of these models, and one more ends a text.
  const text = (line: number) => 'graft trains adapters '.repeat(tokens).slice(line, line + tokens - 1);
  const lines = Array.from({ length: steps }, (_, line) => JSON.stringify({ text: text(line) }));
  await writeFile(trainingFile, `${lines.join('\n')}\n`);
  const training = resolveTraining({
    peft,
    training: { precision, batch_size: 1, max_steps: steps + 1, max_seq_length: tokens },
    exampleCount: lines.length,
  });
  return startGraft(name, { model, trainingFile, peft, training, outputDir: `${model}-adapter` }, precision);
}
