/**
 * Memory and time of exports: writes a random model of some gigabytes and an adapter, exports it in a separate process for each format
 * and type of weights, and removes both. Needs free disk of about twice the size.
 *
 * node --import tsx bench/exports/main.ts [--gigabytes 8] [--rank 16] [--formats merged:stored,merged:float32] [--folder /tmp]
 */
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultPeft, parsePeftConfig } from '@graft/peft-core/config';
import { randomModels, writeRandomModel } from '../../scripts/check-gpu/models.ts';
import { commandLine } from '../../scripts/command-line.ts';
import { runForResult, typeScript } from '../../scripts/measuring/processes.ts';
import { gigabytes as gb } from '../../scripts/measuring/report.ts';
import { plainTable } from '../../scripts/methods/markdown-table.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';
import { writeValues } from '../published-model.ts';
import type { ExportPlan, Measured } from './export-once.ts';

const { gigabytes, rank, ...options } = commandLine(
  {
    formats: { type: 'string', default: 'merged:stored,merged:float32' },
    folder: { type: 'string', default: tmpdir() },
  },
  { gigabytes: 8, rank: 16 },
);

/** Shape of a model with four billion parameters. Its largest tensor is the embedding table; a layer has 0.2 GB in bfloat16. */
const shape = {
  ...randomModels.billion,
  hidden_size: 2560,
  intermediate_size: 9728,
  num_hidden_layers: Math.max(1, Math.round((gigabytes - 0.78) / 0.202)),
  head_dim: 128,
  vocab_size: 151_936,
};

const parent = scratchFolder('bench-exports', options.folder);
const [model, folder] = [join(parent, 'model'), join(parent, 'output')];
await writeRandomModel(model, shape);
const peft = parsePeftConfig({ ...defaultPeft, r: rank });
const adapterDir = await writeValues(
  join(parent, 'adapter'),
  { peft, model: shape },
  (i) => 0.01 * Math.sin(i),
);
const lines: string[][] = [];
for (const each of options.formats.split(',')) {
  const [format = '', dtype] = each.split(':');
  const options = dtype === undefined ? {} : { dtype };
  const plan: ExportPlan = { model, adapterDir, folder, format, options };
  const program = typeScript(join(import.meta.dirname, 'export-once.ts'));
  const { seconds, ...bytes } = await runForResult<Measured>(program, plan);
  const { bytes: written, estimate, peakBytes, largestTensorBytes } = bytes;
  lines.push([each, ...[written, estimate, peakBytes, largestTensorBytes].map(gb), seconds.toFixed(0)]);
  await rm(folder, { recursive: true });
}
const header = ['format', 'GB written', 'GB estimated', 'peak GB of the process'];
console.log(plainTable([...header, 'GB of the largest tensor in float32', 'seconds'], lines));
