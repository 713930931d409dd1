import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { promisify } from 'node:util';

const MB = 1e6;
const addon = createRequire(import.meta.url).resolve(
  '@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node',
);

/** Prints the peak memory of a process before and after loading the addon. */
const program = `
  const peak = () => process.resourceUsage().maxRSS * 1024;
  const before = peak();
  require(${JSON.stringify(addon)});
  console.log(JSON.stringify([before, peak()]));`;

test('loading TensorFlow does not hold all the pages that it touches', async (t) => {
  const { device } = JSON.parse(await readFile(addon.replace('tfjs_binding.node', 'graft.json'), 'utf8'));
  if (process.platform !== 'linux' || device !== 'cpu') return t.skip('libraries of other sizes');
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program]);
  const [before, after] = JSON.parse(stdout) as [number, number];
  // Usually 140 MB, up to 220 if the thread that drops the pages gets no CPU time meanwhile; 300 without dropping.
  assert.ok(after - before < 250 * MB, `${before} before, ${after} at most`);
});
