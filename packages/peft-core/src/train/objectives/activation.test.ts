/**
 * An adapter that is active from an invocation on trains alike with kernels on lists that share beginnings, without sharing, in blocks that
 * run again for their gradients, and with stock operations.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { useKernels, usesGraftKernels } from '@graft/tf-graph';
import type { TrainingOptions } from '../../config/index.ts';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { trainAdapter, trainOptions } from '../../testing/train-adapter.ts';

const at = tempFolder();
const start = 'A shop lends bikes to people who walk.';
const lines = Array.from({ length: 12 }, (_, i) => ({
  prompt: [`${start} ${i}!>`, `${start} !> ${i}?`, `${start} !> ${i}!>`, `${start} ${i}`][i % 4],
  completion: [' yes', ' no', ` ${i}!`, ' or !> so'][i % 4],
}));
const peft = { peft_type: 'LORA', r: 3, target_modules: 'all-linear', alora_invocation_tokens: [33, 62] };
let base: BaseModel;

before(async () => {
  await writeTinyModel(at('model'));
  base = await openBaseModel(at('model'));
  await writeFile(at('train.jsonl'), lines.map((line) => JSON.stringify(line)).join('\n'));
});
after(() => base.close());

let runs = 0;
async function lossesOf(training: TrainingOptions, more: object = {}): Promise<number[]> {
  const options = trainOptions({
    base,
    trainingFile: at('train.jsonl'),
    exampleCount: lines.length,
    peft,
    training: { learning_rate: 0.02, max_steps: 5, batch_size: 6, precision: 'fp32', ...training },
    outputDir: at(`run ${runs++}`),
  });
  return (await trainAdapter({ ...options, ...more })).losses;
}

function assertEqual(found: number[], wanted: number[], what: string): void {
  assert.equal(found.length, wanted.length);
  for (const [i, loss] of found.entries())
    assert.ok(Math.abs(loss - wanted[i]!) < 1e-4, `${what}, step ${i + 1}: ${found} ${wanted}`);
}

test('losses are the same in each arrangement', async () => {
  const losses = await lossesOf({});
  assert.ok(losses.at(-1)! < losses[0]! - 0.1, `${losses}`);
  assertEqual(await lossesOf({}, { sharesBeginnings: false }), losses, 'without sharing');
  assertEqual(await lossesOf({ gradient_checkpointing: true }), losses, 'checkpointed');
  assertEqual(await lossesOf({ packing: false }), losses, 'not packed');
  if (!usesGraftKernels()) return;
  useKernels('stock');
  try {
    assertEqual(await lossesOf({}), losses, 'stock operations');
    assertEqual(await lossesOf({ gradient_checkpointing: true }), losses, 'stock operations, checkpointed');
  } finally {
    useKernels('auto');
  }
});

test('a line without the invocation is named, in text and tokens', async () => {
  await writeFile(
    at('train.jsonl'),
    [...lines, { prompt: 'no', completion: ' invocation!' }].map((line) => JSON.stringify(line)).join('\n'),
  );
  await assert.rejects(lossesOf({}), (error: Error & { code: string; details: { line: number }[] }) => {
    assert.equal(error.code, 'invocation_missing');
    assert.match(error.message, /"!>".*33, 62/);
    assert.deepEqual(
      error.details.map(({ line }) => line),
      [13],
    );
    return true;
  });
});
