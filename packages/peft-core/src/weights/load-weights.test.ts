import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ProgramBuilder } from '@graft/tf-graph';
import { openBaseModel } from '../files.ts';
import { outlineOf } from '../outlines/index.ts';
import type { TensorSource } from '../tensors/tensor-source.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { loadWeights } from './load-weights.ts';
import { declareWeights } from './stored-weights.ts';

const MB = 1e6;

for (const storage of ['float32', 'bfloat16', 'int8', 'nf4'] as const) {
  test(`${storage}: what a large weight was read into is free when all are loaded`, async (t) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'graft-load-'));
    t.after(() => rm(folder, { recursive: true }));
    // Its embedding table has 8 million numbers, 32 MB in float32.
    await writeTinyModel(folder, { vocab_size: 262_144 });
    const base = await openBaseModel(folder);
    t.after(() => base.close());
    const outline = outlineOf(base.config, 'CAUSAL_LM');
    const builder = new ProgramBuilder();
    declareWeights(builder, outline, storage, false);
    const program = builder.build();
    t.after(() => program.close());
    const before = process.memoryUsage().arrayBuffers;
    await loadWeights(program, base, outline, storage);
    // A V8 thread frees the memory that the garbage collection found; this thread waits, so that no other collection starts.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    const held = process.memoryUsage().arrayBuffers - before;
    assert.ok(held < 14 * MB, `${(held / MB).toFixed(1)} MB`);
  });
}

test('the buffer of a large weight is free while others are read', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'graft-load-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeTinyModel(folder, { vocab_size: 262_144, tie_word_embeddings: true });
  const base = await openBaseModel(folder);
  t.after(() => base.close());
  const outline = outlineOf(base.config, 'CAUSAL_LM');
  const builder = new ProgramBuilder();
  declareWeights(builder, outline, 'float32', false);
  const program = builder.build();
  t.after(() => program.close());
  const before = process.memoryUsage().arrayBuffers;
  const held: number[] = [];
  const { tensors } = base;
  const watched: TensorSource = {
    names: () => tensors.names(),
    has: (name) => tensors.has(name),
    info: (name) => tensors.info(name),
    readBfloat16: (name, out) => tensors.readBfloat16(name, out),
    readFloat32(name, out) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      held.push(process.memoryUsage().arrayBuffers - before);
      return tensors.readFloat32(name, out);
    },
  };
  await loadWeights(program, { ...base, tensors: watched }, outline, 'float32');
  // The first is the table, of 32 MB.
  const most = Math.max(...held.slice(1));
  assert.ok(held.length > 10 && most < 14 * MB, `${held.map((bytes) => (bytes / MB).toFixed(1))} MB`);
});
