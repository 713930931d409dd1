import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ProgramBuilder, type tf } from '@graft/tf-graph';
import { openBaseModel } from '../files.ts';
import { architectureFor } from '../models/registry.ts';
import { tinyFamilies } from '../testing/tiny-families.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { loadWeights } from '../weights/load-weights.ts';
import { type PackedTokens, packedForward } from './packed-forward.ts';
import { declarePeftModel } from './peft-model.ts';

let root: string;
before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-rows-read-'));
});
after(async () => await rm(root, { recursive: true }));

const tokens = 12;
const read = Int32Array.of(7, 2, 10);
const perToken = { shape: [tokens], dtype: 'int32' } as const;
const ids = Int32Array.from({ length: tokens }, (_, t) => 3 + ((5 * t) % 40));
const positions = Int32Array.from({ length: tokens }, (_, t) => t);
const segments = new Int32Array(tokens).fill(1);

for (const [family, config] of Object.entries({ llama: {}, ...tinyFamilies })) {
  test(`${family}: the last block ends with the rows that are read, and they are those of all`, async () => {
    const folder = path.join(root, family);
    await writeTinyModel(folder, config);
    const base = await openBaseModel(folder);
    const task = family === 't5' ? 'SEQ_2_SEQ_LM' : family.includes('bert') ? 'TOKEN_CLS' : 'CAUSAL_LM';
    const architecture = architectureFor(base.modelType, base.config, task);
    const builder = new ProgramBuilder();
    const model = declarePeftModel(builder, architecture, null, 'float32');
    const forward = (given: Omit<PackedTokens, 'rows' | 'tokens'>): { hidden: tf.Tensor } => {
      const own = { rows: 1, tokens, ...given };
      const { read: _, ...input } = own;
      return packedForward(model, new Map(), own, architecture.encoder ? input : null);
    };
    const inputs = { ids: perToken, positions: perToken, segments: perToken };
    const all = builder.function('all', inputs, (given) => ({ hidden: forward(given).hidden }));
    const some = builder.function('some', { ...inputs, read: { shape: [3], dtype: 'int32' } }, (given) => ({
      hidden: forward(given).hidden,
    }));
    const program = builder.build();
    try {
      await loadWeights(program, base, architecture, 'float32', { withHead: false });
      const feeds = { ids, positions, segments };
      const whole = program.run(all, feeds).hidden;
      const rows = program.run(some, { ...feeds, read }).hidden;
      const width = whole.shape[1]!;
      assert.deepEqual(rows.shape, [read.length, width]);
      for (const [i, at] of read.entries())
        for (let h = 0; h < width; h++) {
          const [value, expected] = [rows.data[i * width + h]!, whole.data[at * width + h]!];
          assert.ok(Math.abs(value - expected) < 1e-5, `row ${at}: ${value} is not ${expected}`);
        }
    } finally {
      program.close();
      await base.close();
    }
  });
}
