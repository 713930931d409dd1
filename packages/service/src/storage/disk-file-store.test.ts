import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { createDiskFileStore } from './disk-file-store.ts';
import type { FileStore } from './file-store.ts';

let dataDir: string;
let store: FileStore;
before(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'graft-files-'));
  store = createDiskFileStore(dataDir);
});
after(async () => await rm(dataDir, { recursive: true, force: true }));

async function files(): Promise<string[]> {
  const entries = await readdir(path.join(dataDir, 'files'), { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

test('a stream is stored whole, with its digest, and read back, also in part', async () => {
  const content = randomBytes(300_000);
  const seen: Buffer[] = [];
  const stored = await store.receive(Readable.from([content.subarray(0, 1000), content.subarray(1000)]), {
    limit: content.length,
    inspect: (chunk) => seen.push(chunk),
  });
  assert.equal(stored.bytes, content.length);
  assert.equal(stored.sha256, createHash('sha256').update(content).digest('hex'));
  assert.deepEqual(Buffer.concat(seen), content);
  assert.deepEqual(await buffer(await store.open(stored.path)), content);
  assert.deepEqual(
    await buffer(await store.open(stored.path, { start: 5, end: 9 })),
    content.subarray(5, 10),
  );
  assert.ok(path.isAbsolute(await store.localPath(stored.path)));
  await store.remove(stored.path);
  await store.remove(stored.path);
  await assert.rejects(store.open(stored.path), { code: 'file_missing', fault: 'system' });
  await assert.rejects(store.localPath(stored.path), { code: 'file_missing' });
  assert.deepEqual(await files(), []);
});

test('whatever cuts an upload off, nothing is left', async () => {
  const chunks = () => Readable.from([Buffer.alloc(600), Buffer.alloc(600)]);
  await assert.rejects(store.receive(chunks(), { limit: 1199 }), { code: 'file_too_large', param: 'file' });
  const inspect = () => {
    throw new Error('not JSON');
  };
  await assert.rejects(store.receive(chunks(), { limit: 5000, inspect }), /not JSON/);
  async function* cutOff() {
    yield Buffer.alloc(600);
    throw new Error('connection reset');
  }
  await assert.rejects(store.receive(cutOff(), { limit: 5000 }), /connection reset/);
  assert.deepEqual(await files(), []);
});

test('an empty file is a file', async () => {
  const stored = await store.receive(Readable.from([]), { limit: 10 });
  assert.equal(stored.bytes, 0);
  assert.deepEqual(await buffer(await store.open(stored.path)), Buffer.alloc(0));
});

test('a key never leads out of the store', async () => {
  for (const key of ['../../etc/passwd', '', 'a', `${'a'.repeat(23)}/`]) {
    await assert.rejects(store.open(key), /not a file key/);
    await assert.rejects(store.remove(key), /not a file key/);
  }
});
