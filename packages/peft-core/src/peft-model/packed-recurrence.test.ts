/** Trains a model some of whose layers carry states: how its batches are computed changes no loss. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type BaseModel, openBaseModel } from '../files.ts';
import { checkTraining } from '../testing/check-training.ts';
import { tinyFamilies } from '../testing/tiny-families.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { trainAdapter, trainOptions } from '../testing/train-adapter.ts';

const families = ['qwen3_5_text', 'granitemoehybrid'] as const;
let root: string;
let bases: BaseModel[];
before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-recurrent-'));
  for (const family of families) await writeTinyModel(path.join(root, family), tinyFamilies[family]);
  bases = await Promise.all(families.map((family) => openBaseModel(path.join(root, family))));
  // Some examples are longer than a chunk of 64 positions; several fit into a row.
  const lines = Array.from({ length: 16 }, (_, i) => ({
    prompt: `${'so on, '.repeat((i * 5) % 13)}${i}:`,
    completion: ` ${i % 3}`,
  }));
  await writeFile(path.join(root, 'train.jsonl'), lines.map((line) => JSON.stringify(line)).join('\n'));
});
after(async () => {
  for (const base of bases) await base.close();
  await rm(root, { recursive: true });
});

const optionsOf = (base: BaseModel, training: Record<string, unknown>) =>
  trainOptions({
    base,
    trainingFile: path.join(root, 'train.jsonl'),
    exampleCount: 16,
    // With the parameters of the rule and the convolution themselves.
    peft: { peft_type: 'SELECTIVE', kinds: ['attention'] },
    training: { n_epochs: 2, learning_rate: 0.01, batch_size: 8, precision: 'fp32', ...training },
    outputDir: path.join(root, 'adapter'),
  });
const losses = async (base: BaseModel, training: Record<string, unknown>): Promise<number[]> =>
  (await trainAdapter(optionsOf(base, training))).losses;

for (const [number, family] of families.entries()) {
  test(`${family}: packed or not, and with blocks computed again for their gradients, the losses are the same`, async () => {
    const expected = await losses(bases[number]!, { packing: false });
    assert.ok(expected.at(-1)! < expected[0]!, `${expected}`);
    for (const training of [{ packing: true }, { gradient_checkpointing: true }]) {
      const found = await losses(bases[number]!, training);
      const apart = Math.max(...found.map((loss, i) => Math.abs(loss - expected[i]!)));
      assert.ok(apart < 1e-4, `${JSON.stringify(training)}: ${apart} apart`);
    }
  });

  test(`${family}: gradients of a step are those of finite differences`, async () => {
    const { gradientError, moved, still } = await checkTraining(optionsOf(bases[number]!, { packing: true }));
    assert.ok(gradientError < 0.02, `relative error ${gradientError}`);
    assert.deepEqual({ moved, still }, { moved: [], still: [] });
  });
}
