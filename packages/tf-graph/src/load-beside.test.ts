import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

/** Runs a program that has `loadBeside`, `require` and `isMapped` (whether TensorFlow's library is in the process). */
async function run(program: string) {
  const all = `
    import { readFileSync } from 'node:fs';
    import { createRequire } from 'node:module';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { loadBeside } from ${JSON.stringify(new URL('./load-beside.ts', import.meta.url))};
    const require = createRequire(${JSON.stringify(import.meta.url)});
    const isMapped = () => readFileSync('/proc/self/maps', 'utf8').includes('libtensorflow_cc');
    ${program}`;
  const args = [...process.execArgv, '--input-type=module', '-e', all];
  return await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
}

const addon = "require('@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node')";

test('TensorFlow is loaded while JavaScript runs, and is complete when it is required', async (t) => {
  if (process.platform !== 'linux') return t.skip('only Linux lists the libraries of a process');
  const { stdout, stderr } = await run(`
    const before = isMapped();
    loadBeside();
    for (let i = 0; i < 3000 && !isMapped(); i++) await sleep(10);
    const beside = isMapped();
    const { TF_Version, createSession, closeSession } = ${addon};
    closeSession(createSession());
    console.log(JSON.stringify([before, beside, TF_Version]));`);
  const [before, beside, version] = JSON.parse(stdout);
  assert.deepEqual([before, beside], [false, true]);
  assert.match(version, /^2\.\d+/);
  assert.equal(stderr, '', 'TensorFlow is silenced before it is loaded');
});

test('twice is as good as once, and it may be required at once', async () => {
  const { stdout } = await run(`loadBeside(); loadBeside(); console.log(${addon}.TF_Version);`);
  assert.match(stdout, /^2\.\d+/);
});

test('a process that ends meanwhile ends as it would', async () => {
  for (const milliseconds of [0, 30, 100, 200, 400]) {
    const { stdout } = await run(`loadBeside(); await sleep(${milliseconds}); console.log('over');`);
    assert.equal(stdout, 'over\n', `${milliseconds} ms`);
  }
});
