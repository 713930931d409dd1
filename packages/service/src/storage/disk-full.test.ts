import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, describe, test } from 'node:test';
import { mountSmallDisk } from '../testing/small-disk.ts';
import { openStores } from './open-stores.ts';
import { LocalCache } from './s3/local-cache.ts';

const disk = mountSmallDisk(8 * 2 ** 20);
const full = { code: 'storage_full', fault: 'environment' };
after(() => disk?.unmount());

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

describe('a disk without room', { skip: disk === null && 'only root may mount a disk' }, () => {
  const root = disk?.folder ?? '';
  const open = async () =>
    await openStores({ dataDir: root, artifactsUrl: undefined, s3Endpoint: undefined, storageCacheBytes: 0 });

  test('takes no upload, keeps what it has, and takes the next when there is room', async () => {
    const { files } = await open();
    const receive = async (content: Buffer) =>
      await files.receive(Readable.from([content.subarray(0, 100_000), content.subarray(100_000)]), {
        limit: 2 ** 30,
      });
    const old = await receive(randomBytes(200_000));
    const before = await filesIn(path.join(root, 'files'));
    for (const left of [0, 4096, 300_000]) {
      disk!.fill(left);
      await assert.rejects(receive(randomBytes(2 ** 20)), full, `${left} bytes left`);
      assert.deepEqual(await filesIn(path.join(root, 'files')), before);
      assert.equal((await buffer(await files.open(old))).length, old.bytes);
    }
    disk!.free();
    await receive(randomBytes(2 ** 20));
  });

  test('publishes whole or not at all, and again from what is staged when there is room', async () => {
    const { artifacts } = await open();
    const folder = await artifacts.stage('ftjob-full', 1);
    disk!.fill(256 * 1024);
    await assert.rejects(writeFile(path.join(folder, 'a.bin'), randomBytes(2 ** 20)), { code: 'ENOSPC' });
    disk!.fill(0);
    await assert.rejects(
      artifacts.stage('ftjob-full', 2).then((at) => appendFile(`${at}/a`, 'x'.repeat(9000))),
    );
    disk!.free();
    await writeFile(path.join(folder, 'a.bin'), randomBytes(2 ** 20));
    const { artifact } = await artifacts.publish(folder);
    await artifacts.localFolder(artifact);
  });

  test('keeps no half of what it fetches', async () => {
    const cache = new LocalCache(root, 2 ** 30);
    const fetch = async () =>
      await cache.get('files', 'a'.repeat(64), 2 ** 20, async (draft) => {
        await writeFile(draft, randomBytes(2 ** 20), { flag: 'wx' });
      });
    disk!.fill(512 * 1024);
    await assert.rejects(fetch(), full);
    assert.deepEqual(await filesIn(path.join(root, 'cache')), []);
    disk!.free();
    await fetch();
    await mkdir(path.join(root, 'checkpoints'), { recursive: true });
  });
});
