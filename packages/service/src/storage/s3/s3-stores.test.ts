import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { checkpointFolder } from '../../data-folder/data-folder.ts';
import type { Stores } from '../stores.ts';
import { type HaltingProxy, openHaltingProxy } from '../testing/halting-proxy.ts';
import { openS3Server, type S3Server } from '../testing/s3-server.ts';
import { sha256, testStores } from '../testing/store-conformance.ts';
import { createS3Stores } from './create-s3-stores.ts';
import { S3Objects } from './s3-objects.ts';

let server: S3Server;
let folder: string;
before(async () => {
  server = await openS3Server();
  folder = await mkdtemp(path.join(tmpdir(), 'graft-s3-data-'));
});
after(async () => {
  await server?.close();
  await rm(folder, { recursive: true, force: true });
});

const prefix = 'some/where/';
const large = 2 ** 40;

async function openMachine(endpoint: string, { cacheBytes = large, silence = 700 } = {}) {
  const dataDir = await mkdtemp(path.join(folder, 'machine-'));
  const stores = createS3Stores({ bucket: server.bucket, prefix, endpoint }, dataDir, cacheBytes, {
    silence,
  });
  return { stores, dataDir };
}

/** Returns the keys of all objects and of unfinished multipart uploads. */
async function keysOf(): Promise<string[]> {
  const objects = new S3Objects({ bucket: server.bucket, prefix, endpoint: server.endpoint });
  const keys: string[] = [];
  for await (const { key } of objects.list('')) keys.push(key);
  objects.close();
  const client = clientOf();
  const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: server.bucket }));
  client.destroy();
  return [...keys, ...(Uploads ?? []).map(({ Key }) => `unfinished ${Key}`)].sort();
}

const clientOf = () => new S3Client({ endpoint: server.endpoint, forcePathStyle: true, region: 'us-east-1' });

async function flipBit(part: string): Promise<void> {
  const key = (await keysOf()).find((each) => each.includes(part) && !each.endsWith('.listing'));
  const at = { Bucket: server.bucket, Key: `${prefix}${key}` };
  const client = clientOf();
  const { Body } = await client.send(new GetObjectCommand(at));
  const content = Buffer.from(await Body!.transformToByteArray());
  content[content.length >> 1]! ^= 1;
  await client.send(new PutObjectCommand({ ...at, Body: content }));
  client.destroy();
}

testStores('S3', async () => {
  const own = await openMachine(server.endpoint);
  return {
    ...own,
    elsewhere: async () => await openMachine(server.endpoint),
    keys: keysOf,
    flip: flipBit,
    close: async () => own.stores.close(),
  };
});

describe('a server of S3', () => {
  let proxy: HaltingProxy;
  let stores: Stores;
  let dataDir: string;
  before(async () => {
    proxy = await openHaltingProxy(server.endpoint);
    ({ stores, dataDir } = await openMachine(proxy.endpoint));
  });
  after(async () => {
    stores.close();
    await proxy.close();
  });
  const receive = async (content: Buffer) =>
    await stores.files.receive(Readable.from([content]), { limit: content.length });

  test('that refuses connections, or says nothing, is unavailable; then it is available again', async () => {
    const file = await receive(randomBytes(1000));
    const key = 'checkpoints/ftjob-away/00000001/step-00000001';
    await mkdir(checkpointFolder(dataDir, key), { recursive: true });
    await writeFile(path.join(checkpointFolder(dataDir, key), 'manifest.json'), '{}');
    const folder = await stores.artifacts.stage('ftjob-away', 1);
    await writeFile(path.join(folder, 'a.txt'), 'a');
    for (const how of ['cut', 'silent'] as const) {
      proxy.behave(how);
      const away = { code: 'storage_away', fault: 'environment' };
      await assert.rejects(stores.files.open(file), away, how);
      await assert.rejects(receive(Buffer.from('x')), away, how);
      await assert.rejects(stores.artifacts.publish(folder), away, how);
      await assert.rejects(stores.checkpoints.put(key), away, how);
      await assert.rejects(
        stores.checkpoints.fetch(key.replace('step-00000001', 'step-00000002')),
        away,
        how,
      );
    }
    proxy.behave('well');
    await buffer(await stores.files.open(file));
    const { artifact } = await stores.artifacts.publish(folder);
    await stores.artifacts.localFolder(artifact);
    await stores.checkpoints.put(key);
  });

  test('that fails while an upload is sent holds none of it; its parts are removed a day later', async () => {
    const before = await keysOf();
    proxy.behave('cut', 12 * 2 ** 20);
    await assert.rejects(receive(randomBytes(40 * 2 ** 20)), { code: 'storage_away' });
    proxy.behave('well');
    assert.deepEqual(
      (await keysOf()).filter((key) => !key.startsWith('unfinished')),
      before,
    );
    // A server may accept a part that was being sent after its upload was aborted.
    for (const end = performance.now() + 20_000; ; ) {
      await stores.abandonUploads(new Date(Date.now() + 60_000));
      if ((await keysOf()).length === before.length || performance.now() > end) break;
      await sleep(200);
    }
    assert.deepEqual(await keysOf(), before);
    // The same again, now to the end.
    const content = randomBytes(20 * 2 ** 20);
    assert.equal((await receive(content)).sha256, sha256(content));
  });

  test('that breaks off while it answers is unavailable, and what was received does not count as the file', async () => {
    const file = await receive(randomBytes(3 * 2 ** 20));
    const { stores: other } = await openMachine(proxy.endpoint);
    proxy.behave('cut', 2 ** 20);
    await assert.rejects(other.files.open(file), { code: 'storage_away' });
    proxy.behave('well');
    assert.equal(sha256(await buffer(await other.files.open(file))), file.sha256);
    other.close();
  });

  test('fills no more of a disk than its cache may have; what a job holds stays', async () => {
    const machine = await openMachine(server.endpoint, { cacheBytes: 250_000 });
    const contents = Array.from({ length: 4 }, () => randomBytes(100_000));
    const files = [];
    for (const content of contents) files.push(await receive(content));
    const held = await machine.stores.files.localPath(files[0]!, 'ftjob-held');
    const cached = path.join(machine.dataDir, 'cache/files');
    for (const file of files) {
      await buffer(await machine.stores.files.open(file));
      // As if it had last been used an hour ago.
      for (const name of await readdir(cached)) {
        const hourAgo = new Date(Date.now() - 3600_000);
        if (name !== file.sha256) await utimes(path.join(cached, name), hourAgo, hourAgo);
      }
    }
    const kept = await readdir(cached);
    assert.deepEqual(kept.sort(), [files[2]!.sha256, files[3]!.sha256].sort());
    assert.equal(sha256(await readFile(held)), files[0]!.sha256);
    machine.stores.close();
  });

  test("a copy that this machine's disk has damaged is fetched again", async () => {
    const content = randomBytes(50_000);
    const file = await receive(content);
    await buffer(await stores.files.open(file));
    await writeFile(path.join(dataDir, 'cache/files', file.sha256), randomBytes(50_000));
    assert.deepEqual(await buffer(await stores.files.open(file)), content);
    const staged = await stores.artifacts.stage('ftjob-copy', 1);
    await writeFile(path.join(staged, 'a.txt'), 'a');
    const { artifact } = await stores.artifacts.publish(staged);
    const local = await stores.artifacts.localFolder(artifact);
    await writeFile(path.join(local, 'a.txt'), 'b');
    assert.equal(String(await buffer(await stores.artifacts.open(artifact, 'a.txt'))), 'a');
  });
});
