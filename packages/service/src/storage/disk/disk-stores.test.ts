import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { dataFolder } from '../../data-folder/data-folder.ts';
import { openStores } from '../open-stores.ts';
import { testStores } from '../testing/store-conformance.ts';
import { readDigested } from './file-digests.ts';

async function openOn(dataDir: string) {
  const env = { artifactsUrl: undefined, s3Endpoint: undefined, storageCacheBytes: 0, dataDir };
  return { stores: await openStores(env), dataDir };
}

async function filesUnder(dataDir: string): Promise<string[]> {
  const found: string[] = [];
  for (const folder of ['files', 'artifacts']) {
    const entries = await readdir(path.join(dataDir, folder), { recursive: true, withFileTypes: true }).catch(
      () => [],
    );
    const files = entries.filter((entry) => entry.isFile());
    found.push(...files.map((entry) => path.relative(dataDir, path.join(entry.parentPath, entry.name))));
  }
  return found.sort();
}

/** Flips one bit in the middle of the file, and restores its modification time. */
async function flipBit(file: string): Promise<void> {
  const { atime, mtime } = await stat(file);
  const content = await readFile(file);
  content[content.length >> 1]! ^= 1;
  await writeFile(file, content);
  await utimes(file, atime, mtime);
}

testStores('disk', async () => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'graft-disk-'));
  return {
    ...(await openOn(dataDir)),
    elsewhere: async () => await openOn(dataDir),
    keys: async () => await filesUnder(dataDir),
    flip: async (part) => {
      const name = (await filesUnder(dataDir)).find((each) => each.includes(part));
      await flipBit(path.join(dataDir, name!));
    },
    close: async () => await rm(dataDir, { recursive: true, force: true }),
  };
});

test('a stream of a whole file breaks before its end when its bytes are not those of its digest', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'graft-digested-'));
  try {
    const file = path.join(folder, 'file');
    const content = Buffer.alloc(300_000, 'x');
    await writeFile(file, content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    const read = async (expected: { sha256: string; bytes: number }) =>
      await readDigested(file, expected, undefined, () => new Error('corrupt'));
    assert.deepEqual(await buffer(await read({ sha256, bytes: content.length })), content);
    for (const wrong of [
      { sha256: '0'.repeat(64), bytes: content.length },
      { sha256, bytes: content.length - 1 },
    ]) {
      let seen = 0;
      const stream = await read(wrong);
      await assert.rejects(async () => {
        for await (const chunk of stream) seen += chunk.length;
      }, /corrupt/);
      assert.ok(seen < content.length, `${seen}`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('a disk that fails at a file does not say that it is gone', async () => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'graft-disk-'));
  try {
    const { files, artifacts, checkpoints } = (await openOn(dataDir)).stores;
    const file = await files.receive(Readable.from([Buffer.from('x')]), { limit: 1 });
    const folder = await artifacts.stage('ftjob-1', 1);
    await writeFile(path.join(folder, 'a.txt'), 'x');
    const { artifact } = await artifacts.publish(folder);
    const key = 'checkpoints/ftjob-1/00000001/step-00000001';
    await mkdir(path.join(dataDir, path.dirname(key)), { recursive: true });
    const paths = [
      dataFolder(dataDir).file(file.path),
      dataFolder(dataDir).artifact(artifact),
      path.join(dataDir, key),
    ];
    for (const each of paths) {
      await rm(each, { recursive: true, force: true });
      // A link to itself causes a file system error even for root.
      await symlink(each, each);
    }
    const failed = { code: 'ELOOP' };
    await assert.rejects(files.open(file), failed);
    await assert.rejects(files.verify(file, { bytesPerSecond: 1e6 }), failed);
    await assert.rejects(artifacts.localFolder(artifact), failed);
    await assert.rejects(checkpoints.fetch(key), failed);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

test('a stream that is abandoned before it was read leaves no file open', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'graft-digested-'));
  try {
    const file = path.join(folder, 'file');
    await writeFile(file, 'x');
    const isOpen = async () => {
      const links = await readdir('/proc/self/fd');
      const targets = links.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
      return (await Promise.all(targets)).includes(file);
    };
    const stream = await readDigested(file, { sha256: '', bytes: 1 }, undefined, () => new Error('corrupt'));
    assert.ok(await isOpen());
    stream.destroy();
    for (let look = 0; look < 100 && (await isOpen()); look++) await sleep(20);
    assert.ok(!(await isOpen()));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
