/**
 * node --import tsx bench/loading/main.ts --model NAME [--layers 10] [--dtypes fp32,bf16,int8,nf4]: the most memory of a process that
 * loads a base model, beside the bytes of the weights that it then holds, for each data type in a separate process. The model has the
 * shape of a published one of test/golden/published-configs, with fewer layers, and random weights in bfloat16.
 */
import { join } from 'node:path';
import { commandLine, endWithUsage, listOf } from '../../scripts/command-line.ts';
import { runForResult, typeScript } from '../../scripts/measuring/processes.ts';
import { plainTable } from '../../scripts/methods/markdown-table.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';
import { writePublishedModel } from '../published-model.ts';
import type { Loaded, LoadPlan } from './load-once.ts';

const storages = { fp32: 'float32', bf16: 'bfloat16', int8: 'int8', nf4: 'nf4' } as const;
const known = Object.keys(storages) as (keyof typeof storages)[];
const {
  layers,
  model: name,
  ...options
} = commandLine(
  { model: { type: 'string', default: '' }, dtypes: { type: 'string', default: known.join() } },
  { layers: 10 },
);
const dtypes = listOf('dtypes', options.dtypes, known);
if (name === '') endWithUsage('--model: name a model of test/golden/published-configs');
const model = await writePublishedModel(scratchFolder('loading'), name, layers);
const rows: string[][] = [];
for (const dtype of dtypes) {
  const plan: LoadPlan = { model, storage: storages[dtype] };
  const program = typeScript(join(import.meta.dirname, 'load-once.ts'));
  const { storedBytes, emptyBytes, peakBytes, seconds } = await runForResult<Loaded>(program, plan);
  const megabytes = (bytes: number) => Math.round(bytes / 1e6).toLocaleString('en');
  const above = peakBytes - emptyBytes - storedBytes;
  rows.push([dtype, ...[storedBytes, emptyBytes, peakBytes, above].map(megabytes), seconds.toFixed(1)]);
  console.log(rows.at(-1)!.join('  '));
}
const header = ['weights as', 'their MB', 'MB before', 'peak MB', 'above both', 'seconds'];
console.log(`\n${name}, ${layers} layers\n\n${plainTable(header, rows)}`);
