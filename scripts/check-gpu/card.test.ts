// In the form that nvidia-smi prints, after its manual; its answers are written by hand.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';
import { describeDevice, findCard } from './card.ts';
import { watchCardMemory } from './run-apart.ts';

const folder = scratchFolder('card');
const uuid = 'GPU-8f3ac5b0-91d5-1c6e-a1f0-0d3b6a1f2c11';
const card = { kind: 'gpu', index: 0, uuid, name: 'NVIDIA L4', memoryMib: 23_034 } as const;
const before = process.env.PATH;

/** Runs `body` with an nvidia-smi of these lines of shell on the PATH, or none. */
async function withSmi<T>(lines: string | null, body: () => Promise<T>): Promise<T> {
  const bin = join(folder, String(Math.random()));
  mkdirSync(bin);
  if (lines !== null) {
    writeFileSync(join(bin, 'nvidia-smi'), `#!/bin/sh\n${lines}\n`);
    chmodSync(join(bin, 'nvidia-smi'), 0o755);
  }
  process.env.PATH = lines === null ? bin : `${bin}:${before}`;
  try {
    return await body();
  } finally {
    process.env.PATH = before;
  }
}

test('what is missing is reported in one line', async () => {
  const found = () => findCard('linux-x64');
  assert.match(String(await findCard('darwin-arm64')), /Linux x86-64 only, this is darwin-arm64/);
  assert.match(String(await withSmi(null, found)), /no NVIDIA driver/);
  assert.equal(
    await withSmi('echo "No devices were found"; exit 6', found),
    'nvidia-smi lists no card: No devices were found',
  );
});

test('the report names card, driver and the libraries that come with TensorFlow', async () => {
  const facts = await withSmi('echo "575.57.08, 8.9"', async () => describeDevice(card));
  assert.equal(facts.card, 'NVIDIA L4, 22 GiB, compute capability 8.9');
  assert.equal(facts.driver, '575.57.08');
  assert.match(`${facts.CUDA} ${facts.cuDNN}`, /^12\.\d+\.\d+ 9\.\d+\.\d+/);
});

test("a card's memory is the peak above what was in use before", async () => {
  const readings = 'for used in 310 9000 4310; do echo $used; done; exec sleep 60';
  await withSmi(readings, async () => {
    const stop = watchCardMemory(card);
    await sleep(1500);
    assert.equal(stop(), 8690);
  });
  assert.equal(watchCardMemory({ kind: 'cpu' })(), null);
});
