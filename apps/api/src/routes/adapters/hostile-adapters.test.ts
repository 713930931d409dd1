/** Hundreds of uploads that must cost nothing: each a clear refusal, nothing left behind, memory bounded, others served meanwhile. */
import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  type AdapterParts,
  filesOf,
  safetensorsOf,
  sendAdapter,
  soundAdapter,
} from '../../testing/adapter-parts.ts';
import { hostileAdapters } from '../../testing/hostile-adapters.ts';
import type { HostileAdapter } from '../../testing/hostile-parts.ts';
import { type ApiBench, openApiBench } from '../../testing/open-api-bench.ts';

let bench: ApiBench;
let sound: AdapterParts;
let hostile: HostileAdapter[];
before(async () => {
  bench = await openApiBench();
  sound = await soundAdapter(bench);
  hostile = hostileAdapters(sound);
});
after(async () => await bench?.close());

/** Every file below the data folder, with its length. */
async function filesThere(): Promise<string[]> {
  const { dataDir } = bench.services.env;
  const entries = await readdir(dataDir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return await Promise.all(files.sort().map(async (file) => `${file} ${(await stat(file)).size}`));
}

test('each is refused, naming the file, the key or the option, and nothing is left', async () => {
  assert.ok(hostile.length >= 300, `only ${hostile.length}`);
  assert.equal((await sendAdapter(bench.acme, filesOf(sound))).status, 200, 'the sound one is fine');
  const before = await filesThere();
  const heap = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  const start = heap();
  let most = 0;
  const wrong: string[] = [];
  const waiting = [...hostile];
  async function sender(): Promise<void> {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { what, files, names } = next;
      const { status, json, text } = await sendAdapter(bench.acme, files);
      most = Math.max(most, heap());
      const error = json?.error ?? {};
      const told = `${error.message} ${error.param}`;
      if ((status !== 400 && status !== 413) || !names.test(told) || text.length > 3000)
        wrong.push(`${what}: ${status} ${text.slice(0, 300)}`);
    }
  }
  await Promise.all(Array.from({ length: 6 }, sender));
  assert.deepEqual(wrong, []);
  assert.deepEqual(await filesThere(), before);
  assert.equal(await bench.services.db.adapterVersion.count(), 1);
  assert.ok(most - start < 512 * 2 ** 20, `${(most - start) >> 20} MiB`);
  assert.equal((await sendAdapter(bench.acme, filesOf(sound))).status, 200, 'and still is');
});

test('the largest checks hold up nobody', async () => {
  // 4 MB of header and 256 MB of numbers, of which the last is none.
  const data = new Uint8Array(64 * 2 ** 20);
  data.set([0, 0, 0xc0, 0x7f], data.length - 4);
  const [key] = sound.tensors.keys();
  const tensors = new Map(sound.tensors).set(key!, { dtype: 'F32', shape: [2, data.length / 8], data });
  const uploads = [
    sendAdapter(bench.acme, [filesOf(sound)[0]!, ['adapter_model.safetensors', safetensorsOf(tensors)]]),
    ...hostile
      .filter(({ what }) => /,000|4 MiB|regular|a\|/.test(what))
      .map(async ({ files }) => await sendAdapter(bench.acme, files)),
  ];
  let open = true;
  const all = Promise.all(uploads).finally(() => (open = false));
  // What the event loop itself computes at a stretch, in milliseconds of its own time: neighbours on this machine take none of that.
  let longest = 0;
  while (open) {
    const busy = performance.eventLoopUtilization();
    await new Promise((resolve) => setImmediate(resolve));
    longest = Math.max(longest, performance.eventLoopUtilization(busy).active);
    const health = await bench.acme.send('GET', '/v1/models');
    assert.equal(health.status, 200);
  }
  for (const { status } of await all) assert.ok(status === 400 || status === 413);
  assert.ok(longest < 1000, `${longest} ms`);
});
