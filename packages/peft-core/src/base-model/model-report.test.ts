import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { outlineOf } from '../outlines/index.ts';
import { type TensorToWrite, writeSafetensors } from '../safetensors/write-safetensors.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { tinyFamilies } from '../testing/tiny-families.ts';
import { tinyConfig, writeTinyModel } from '../testing/tiny-model.ts';
import { inspectModel } from './model-report.ts';

const folder = await mkdtemp(path.join(tmpdir(), 'graft-report-'));
after(() => rm(folder, { recursive: true }));

test('experts in MXFP4 count as the values that their bytes hold', async () => {
  // A block has 32 values of a row.
  const config = { ...tinyConfig, ...tinyFamilies.gpt_oss, intermediate_size: 64 };
  await writeTinyModel(folder, config);
  const { parameters } = outlineOf(config);
  const bytes = (name: string, shape: number[]) => ({
    name,
    shape,
    dtype: 'U8' as const,
    data: new Uint8Array(elementCount(shape)),
  });
  await writeSafetensors(
    path.join(folder, 'model.safetensors'),
    parameters.flatMap(({ name, shape, experts }): TensorToWrite[] => {
      if (!experts) return [{ name, shape, data: new Float32Array(elementCount(shape)) }];
      const [count, out, width] = shape as [number, number, number];
      const blocks = [count, out, width / 32];
      return [bytes(`${name}_blocks`, [...blocks, 16]), bytes(`${name}_scales`, blocks)];
    }),
  );
  const values = (packed: boolean) =>
    parameters
      .filter(({ experts }) => (experts !== undefined) === packed)
      .reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const { fault, parameters: count, stored } = await inspectModel(folder);
  assert.equal(fault, null);
  assert.deepEqual(stored, { F32: values(false), MXFP4: values(true) });
  assert.equal(count, values(false) + values(true));
});
