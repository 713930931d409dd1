import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';
import { randomModels, writeRandomModel } from './models.ts';

test('the large llama has the size of Llama 3.2 1B', () => {
  const sizes = outlineOf(randomModels.billion).parameters.map(({ shape }) =>
    shape.reduce((a, b) => a * b, 1),
  );
  assert.equal(
    sizes.reduce((a, b) => a + b, 0),
    1_235_814_400,
  );
});

test('a random llama is bf16, finite, and its rows and tensors differ', async () => {
  const folder = join(scratchFolder('random-llama'), 'model');
  await writeRandomModel(folder, randomModels.small);
  const base = await openBaseModel(folder);
  try {
    const read = (name: string) => base.tensors.readFloat32(name);
    const gate = 'model.layers.0.mlp.gate_proj.weight';
    assert.equal(base.tensors.info(gate).dtype, 'BF16');
    const values = await read(gate);
    assert.ok(values.every((x) => Math.abs(x) <= 0.0401) && values.filter((x) => x === 0).length < 10);
    const rows = Array.from({ length: 128 }, (_, row) => values.slice(row * 64, row * 64 + 64).join());
    assert.equal(new Set(rows).size, 128);
    assert.notDeepEqual(values, await read('model.layers.1.mlp.gate_proj.weight'));
    assert.ok((await read('model.norm.weight')).every((x) => x === 1));
  } finally {
    await base.close();
  }
});
