/** Hundreds of hostile uploads: each is rejected clearly, leaves nothing behind, and takes neither memory nor the event loop. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type AdapterParts, filesOf, sendAdapter, soundAdapter } from '../../testing/adapter-parts.ts';
import { hostileAdapters } from '../../testing/hostile-adapters.ts';
import type { HostileAdapter } from '../../testing/hostile-parts.ts';
import { type ApiBench, openApiBench } from '../../testing/open-api-bench.ts';
import { createAdapterChecker } from '../../uploads/adapter-checker.ts';

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
      const shown = `${error.message} ${error.param}`;
      if ((status !== 400 && status !== 413) || !names.test(shown) || text.length > 3000)
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

test('the largest checks leave the event loop free', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'graft-hostile-'));
  const checker = createAdapterChecker(600_000, { heapMb: 256 });
  try {
    const largest = hostile.find(({ what }) => what === '60,000 empty tensors')!;
    for (const [name, content] of largest.files) await writeFile(join(folder, name), content);
    const { config } = (await bench.services.baseModels.get('tiny'))!;
    const check = { folder, base: { config, digest: 'a'.repeat(64) } };
    const refused = async (team: string) =>
      await assert.rejects(checker.check(team, check), { code: 'adapter_does_not_fit' });
    await refused('first');
    const start = performance.now();
    let open = true;
    const checks = Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(refused)).finally(() => {
      open = false;
    });
    let longest = 0;
    while (open) {
      const before = performance.now();
      await new Promise((resolve) => setImmediate(resolve));
      longest = Math.max(longest, performance.now() - before);
    }
    await checks;
    const whole = performance.now() - start;
    // Relative to the duration of the checks, since a busy machine slows both.
    assert.ok(longest < whole / 3, `${longest} ms of ${whole} ms`);
  } finally {
    await checker.close();
    await rm(folder, { recursive: true });
  }
});
