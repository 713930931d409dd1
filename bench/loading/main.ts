/**
 * node --import tsx bench/loading/main.ts --model NAME [--layers 10] [--dtypes fp32,bf16,int8,nf4]: the most memory of a process that
 * loads a base model, beside the bytes of the weights that it then holds, for each data type in a separate process. The model has the
 * shape of a published one of test/golden/published-configs, with fewer layers, and random weights in bfloat16.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainTable } from '../../scripts/methods/markdown-table.ts';
import { benchOptions } from '../options.ts';
import { writePublishedModel } from '../published-model.ts';
import { runTypeScript } from '../run-for-result.ts';
import type { Loaded } from './load-once.ts';

const storages: Record<string, string> = { fp32: 'float32', bf16: 'bfloat16', int8: 'int8', nf4: 'nf4' };
const { layers, ...options } = benchOptions(
  { layers: 10 },
  {
    model: { type: 'string', default: '' },
    dtypes: { type: 'string', default: Object.keys(storages).join() },
  },
);
const dtypes = options.dtypes.split(',');
if (!dtypes.every((dtype) => dtype in storages))
  throw new Error(`--dtypes are of ${Object.keys(storages).join(', ')}`);
if (options.model === '') throw new Error('--model: name a model of test/golden/published-configs');
const folder = await mkdtemp(join(tmpdir(), 'graft-loading-'));
try {
  const model = await writePublishedModel(folder, options.model, layers);
  const rows: string[][] = [];
  for (const dtype of dtypes) {
    const script = join(import.meta.dirname, 'load-once.ts');
    const { storedBytes, emptyBytes, peakBytes, seconds } = await runTypeScript<Loaded>(
      script,
      [model, storages[dtype]!],
      {},
    );
    const megabytes = (bytes: number) => Math.round(bytes / 1e6).toLocaleString('en');
    const above = peakBytes - emptyBytes - storedBytes;
    rows.push([dtype, ...[storedBytes, emptyBytes, peakBytes, above].map(megabytes), seconds.toFixed(1)]);
    console.log(rows.at(-1)!.join('  '));
  }
  const header = ['weights as', 'their MB', 'MB before', 'peak MB', 'above both', 'seconds'];
  console.log(`\n${options.model}, ${layers} layers\n\n${plainTable(header, rows)}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
