import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openBaseModel } from '../../files.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { trainAdapter, trainOptions } from '../../testing/train-adapter.ts';
import { train } from '../loop.ts';
import { peakMemory, resetPeakMemory } from './peak-memory.ts';

const MB = 1e6;
const onLinux = { skip: process.platform !== 'linux' };

/** Allocates and touches 300 MB, which the process then returns to the system. */
async function takeAndFree(): Promise<void> {
  const before = process.memoryUsage.rss();
  Buffer.alloc(300 * MB, 1);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // A large buffer has its own memory mapping; a V8 thread unmaps it a moment after garbage collection.
  for (let i = 0; i < 100 && process.memoryUsage.rss() > before + 100 * MB; i++) {
    collect();
    await sleep(20);
  }
}

test('a reset lowers the peak to the current memory, and later allocations count', onLinux, async () => {
  await takeAndFree();
  const before = peakMemory();
  resetPeakMemory();
  const now = process.memoryUsage.rss();
  assert.ok(before > now + 200 * MB, `${before} before, ${now} held`);
  assert.ok(Math.abs(peakMemory() - now) < 50 * MB, `${peakMemory()} after, ${now} held`);
  await takeAndFree();
  assert.ok(peakMemory() > now + 250 * MB, `${peakMemory()} after 300 MB more than ${now}`);
});

test('each step reports the memory after it, which the peak is never below', onLinux, async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'graft-held-'));
  await writeTinyModel(path.join(root, 'model'));
  const base = await openBaseModel(path.join(root, 'model'));
  const trainingFile = path.join(root, 'train.jsonl');
  await writeFile(trainingFile, JSON.stringify({ text: 'One sentence.' }));
  const held: number[] = [];
  const taken: Buffer[] = [];
  try {
    const options = trainOptions({
      base,
      trainingFile,
      exampleCount: 1,
      outputDir: path.join(root, 'adapter'),
      peft: { peft_type: 'LORA' },
      training: { n_epochs: 4 },
    });
    for await (const record of train(options)) {
      if (record.type === 'step') held.push(record.memoryBytes);
      if (record.type === 'step' && record.step === 3) taken.push(Buffer.alloc(300 * MB, 1));
      if (record.type === 'done') {
        const most = Math.max(...held);
        assert.ok(record.peakMemoryBytes > most - MB, `${record.peakMemoryBytes}, of steps ${most}`);
      }
    }
    assert.equal(held.length, 4);
    const [, , before, after] = held as [number, number, number, number];
    assert.ok(after > before + 250 * MB, `${after} after 300 MB more than ${before}`);
    assert.ok(taken.length === 1);
  } finally {
    await base.close();
    await rm(root, { recursive: true });
  }
});

test("a job's peak is its own, not that of what its process did before", onLinux, async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'graft-peak-'));
  await writeTinyModel(path.join(root, 'model'));
  const base = await openBaseModel(path.join(root, 'model'));
  const trainingFile = path.join(root, 'train.jsonl');
  await writeFile(trainingFile, JSON.stringify({ text: 'One sentence.' }));
  try {
    await takeAndFree();
    const before = peakMemory();
    const options = trainOptions({
      base,
      trainingFile,
      exampleCount: 1,
      outputDir: path.join(root, 'adapter'),
      peft: { peft_type: 'LORA' },
      training: { n_epochs: 1 },
    });
    const { done } = await trainAdapter(options);
    assert.ok(done.peakMemoryBytes < before - 100 * MB, `${done.peakMemoryBytes}, ${before} before it`);
  } finally {
    await base.close();
    await rm(root, { recursive: true });
  }
});
