import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

const load = async (env: Record<string, string>) =>
  await promisify(execFile)(
    process.execPath,
    ['-e', "console.log(require('@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node').TF_Version)"],
    { cwd: import.meta.dirname, env: { ...process.env, ...env }, timeout: 60_000 },
  );

test('TensorFlow takes the limit of what a process may hold of its card, which says nothing where there is none', async () => {
  const total = String(80 * 2 ** 30);
  const { stdout } = await load({
    GRAFT_GPU_MEMORY_BYTES: String(20 * 2 ** 30),
    GRAFT_GPU_TOTAL_BYTES: total,
  });
  assert.match(stdout, /^2\.\d+/);
  for (const bytes of ['0', '-1', 'much', String(81 * 2 ** 30)])
    await assert.rejects(
      load({ GRAFT_GPU_MEMORY_BYTES: bytes, GRAFT_GPU_TOTAL_BYTES: total }),
      /GRAFT_GPU_MEMORY_BYTES must be above 0 and at most GRAFT_GPU_TOTAL_BYTES/,
    );
});
