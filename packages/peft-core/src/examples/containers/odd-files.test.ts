// Every odd or hostile file gets one clear sentence, soon and in bounded memory, however its bytes arrive.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GraftError } from '../../errors.ts';
import { checkDataFile, createDataFileChecker } from '../data-file.ts';
import { oddBinaryFiles } from './testing/odd-binary-files.ts';
import { oddTextFiles } from './testing/odd-text-files.ts';

/** Processor milliseconds and bytes that a file may need: other tests use the machine at the same time. */
const MAX_MS = 20_000;
const MAX_BYTES = 400 * 1024 * 1024;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-odd-'));
});
after(async () => await rm(folder, { recursive: true, force: true }));

async function faultOf(read: () => Promise<unknown>): Promise<GraftError> {
  try {
    await read();
  } catch (error) {
    assert.ok(error instanceof GraftError, `${error instanceof Error ? error.stack : error}`);
    return error;
  }
  assert.fail('was accepted');
}

async function readIn(content: Buffer, size: number): Promise<void> {
  const checker = createDataFileChecker();
  try {
    for (let at = 0; at < content.length; at += size) await checker.write(content.subarray(at, at + size));
    await checker.end();
  } finally {
    checker.close();
  }
}

const oddFiles = [...oddTextFiles, ...oddBinaryFiles];
assert.ok(oddFiles.length >= 60);
for (const [name, content, code, message] of oddFiles) {
  test(name, async () => {
    const path = join(folder, 'file');
    await writeFile(path, content);
    const started = process.cpuUsage();
    const before = process.memoryUsage().rss;
    const fault = await faultOf(() => checkDataFile(path));
    assert.match(fault.message, message);
    assert.equal(fault.code, code);
    assert.ok(fault.message.length < 700, fault.message);
    assert.doesNotMatch(fault.message, /undefined is not|Cannot read|is not a function/);
    const sizes = content.length < 5000 ? [1, 7, 64 * 1024] : [64 * 1024];
    for (const size of sizes) {
      const same = await faultOf(() => readIn(content, size));
      assert.equal(same.message, fault.message, `in pieces of ${size}`);
    }
    const { user, system } = process.cpuUsage(started);
    assert.ok(user + system < 1000 * MAX_MS, `${user + system} µs`);
    assert.ok(process.memoryUsage().rss - before < MAX_BYTES, `${process.memoryUsage().rss - before}`);
  });
}
