/**
 * Memory and time of exports: writes a random model of some gigabytes and an adapter, exports it in a separate process for each format
 * and type of weights, and removes both. Needs free disk of about twice the size.
 *
 * node --import tsx bench/exports/main.ts [--gigabytes 8] [--rank 16] [--formats merged:stored,merged:float32] [--folder /tmp]
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileTensorsFor } from '@graft/peft-core/check';
import { defaultPeft, parsePeftConfig } from '@graft/peft-core/config';
import { writeAdapter } from '@graft/peft-core/files';
import { elementCount } from '../../packages/peft-core/src/tensors/tensor-source.ts';
import { randomModels, writeRandomModel } from '../../scripts/check-gpu/models.ts';
import { plainTable } from '../../scripts/methods/markdown-table.ts';
import { benchOptions } from '../options.ts';
import { runTypeScript } from '../run-for-result.ts';
import type { Measured } from './export-once.ts';

const {
  gigabytes,
  rank,
  formats,
  folder: parent,
} = benchOptions(
  { gigabytes: 8, rank: 16 },
  {
    formats: { type: 'string', default: 'merged:stored,merged:float32' },
    folder: { type: 'string', default: tmpdir() },
  },
);

/** Of a model with four billion parameters, whose largest tensor is the table of 151,936 tokens; a layer has 0.2 GB in bfloat16. */
const shape = {
  ...randomModels.billion,
  hidden_size: 2560,
  intermediate_size: 9728,
  num_hidden_layers: Math.max(1, Math.round((gigabytes - 0.78) / 0.202)),
  head_dim: 128,
  vocab_size: 151_936,
};

const folder = await mkdtemp(join(parent, 'graft-bench-exports-'));
try {
  const [model, adapter] = [join(folder, 'model'), join(folder, 'adapter')];
  await writeRandomModel(model, shape);
  await writeFullAdapter(adapter);
  const lines: string[][] = [];
  for (const each of formats.split(',')) {
    const [format = '', dtype] = each.split(':');
    const output = join(folder, 'output');
    const options = JSON.stringify(dtype === undefined ? {} : { dtype });
    const file = join(import.meta.dirname, 'export-once.ts');
    const measured = await runTypeScript<Measured>(file, [model, adapter, output, format, options], {});
    const { seconds, bytes, estimate, peakBytes, largestTensorBytes } = measured;
    const gb = (value: number) => (value / 1e9).toFixed(2);
    lines.push([each, gb(bytes), gb(estimate), gb(peakBytes), gb(largestTensorBytes), seconds.toFixed(0)]);
    await rm(output, { recursive: true });
  }
  process.stdout.write(
    `${plainTable(['format', 'GB written', 'GB estimated', 'GB of the process at most', 'GB of the largest tensor in float32', 'seconds'], lines)}\n`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function writeFullAdapter(target: string): Promise<void> {
  const peft = parsePeftConfig({ ...defaultPeft, r: rank });
  const tensors = new Map(
    fileTensorsFor(peft, shape).map(({ key, shape }) => [
      key,
      { shape, data: Float32Array.from({ length: elementCount(shape) }, (_, i) => 0.01 * Math.sin(i)) },
    ]),
  );
  await writeAdapter(target, { peft, baseModelNameOrPath: null, tensors });
  await writeFile(join(target, 'README.md'), '');
}
