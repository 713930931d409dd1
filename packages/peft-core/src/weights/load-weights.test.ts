import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { collectGarbage, ProgramBuilder } from '@graft/tf-graph';
import { openBaseModel } from '../files.ts';
import { outlineOf } from '../outlines/index.ts';
import { readPieces, type TensorSource } from '../tensors/tensor-source.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import type { BaseStorage } from './base-storage.ts';
import { loadWeights } from './load-weights.ts';
import { declareWeights } from './stored-weights.ts';

const MB = 1e6;

/** A model whose embedding table has 8 million numbers, 32 MB in float32, and a program for its weights. */
async function unloaded(t: TestContext, storage: BaseStorage, config: Record<string, unknown>) {
  const folder = await mkdtemp(path.join(tmpdir(), 'graft-load-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeTinyModel(folder, { vocab_size: 262_144, ...config });
  const base = await openBaseModel(folder);
  t.after(() => base.close());
  const outline = outlineOf(base.config, 'CAUSAL_LM');
  const builder = new ProgramBuilder();
  declareWeights(builder, outline, storage, false);
  const program = builder.build();
  t.after(() => program.close());
  return { base, outline, program };
}

for (const storage of ['float32', 'bfloat16', 'int8', 'nf4'] as const) {
  test(`${storage}: what a large weight was read into is free when all are loaded`, async (t) => {
    const { base, outline, program } = await unloaded(t, storage, {});
    const before = process.memoryUsage().arrayBuffers;
    await loadWeights(program, base, outline, storage);
    // A V8 thread frees the memory that the garbage collection found; this thread waits, so that no other collection starts.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    const held = process.memoryUsage().arrayBuffers - before;
    assert.ok(held < 14 * MB, `${(held / MB).toFixed(1)} MB`);
  });
}

/** A source that calls `note` before every read, and with each piece of values. */
function watched(tensors: TensorSource, note: () => void): TensorSource {
  return {
    names: () => tensors.names(),
    has: (name) => tensors.has(name),
    info: (name) => tensors.info(name),
    readBfloat16(name, out) {
      note();
      return tensors.readBfloat16(name, out);
    },
    readFloat32(name, out) {
      note();
      return tensors.readFloat32(name, out);
    },
    readPieces: (name, take) =>
      readPieces(tensors, name, async (piece) => {
        note();
        await take(piece);
        note();
      }),
  };
}

for (const storage of ['float32', 'bfloat16', 'int8', 'nf4'] as const) {
  test(`${storage}: a large weight is never in one array`, async (t) => {
    const { base, outline, program } = await unloaded(t, storage, { tie_word_embeddings: true });
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    const held: number[] = [];
    const tensors = watched(base.tensors, () => held.push(process.memoryUsage().arrayBuffers - before));
    await loadWeights(program, { ...base, tensors }, outline, storage);
    // The table has 8 million numbers: 8 MB in int8, 32 in float32. Pieces have 4 MB.
    const most = Math.max(...held);
    assert.ok(held.length > 10 && most < 8 * MB, `${held.map((bytes) => (bytes / MB).toFixed(1))} MB`);
  });
}
