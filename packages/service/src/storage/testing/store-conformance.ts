import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { checkpointFolder } from '../../data-folder/data-folder.ts';
import { randomText } from '../../ids.ts';
import type { Stores } from '../stores.ts';

/** The stores under test, with direct access to the stored objects. */
export interface StoresUnderTest {
  stores: Stores;
  dataDir: string;
  /** The same store from another machine, which has not fetched or verified anything yet. */
  elsewhere(): Promise<{ stores: Stores; dataDir: string }>;
  /** Keys of all stored objects, including unfinished uploads. */
  keys(): Promise<string[]>;
  /** Flips one bit in the middle of the object whose key contains `part`. */
  flip(part: string): Promise<void>;
  close(): Promise<void>;
}

export const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');

/** Tests that every implementation of the stores must pass. */
export function testStores(name: string, open: () => Promise<StoresUnderTest>): void {
  describe(`stores on ${name}`, () => {
    let it: StoresUnderTest;
    before(async () => {
      it = await open();
    });
    after(async () => await it?.close());

    async function receive(content: Buffer) {
      return await it.stores.files.receive(Readable.from([content]), { limit: content.length });
    }
    async function stage(epoch: number, files: Record<string, string>): Promise<string> {
      const folder = await it.stores.artifacts.stage('ftjob-1', epoch);
      for (const [name, content] of Object.entries(files)) {
        await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
        await writeFile(path.join(folder, name), content);
      }
      return folder;
    }
    async function leavesNothing(work: () => Promise<void>): Promise<void> {
      const before = await it.keys();
      await work();
      assert.deepEqual(await it.keys(), before);
    }
    const artifactFiles = { 'b.txt': 'bee', 'a/c.txt': 'sea' };
    const slow = { bytesPerSecond: 2 ** 30 };

    test('a file is stored whole, with its digest, and read back, also in part and elsewhere', async () => {
      const content = randomBytes(300_000);
      const seen: Buffer[] = [];
      const pieces = Readable.from([content.subarray(0, 1000), content.subarray(1000)]);
      const inspect = (chunk: Buffer) => void seen.push(chunk);
      const file = await it.stores.files.receive(pieces, { limit: content.length, inspect });
      assert.deepEqual([file.bytes, file.sha256], [content.length, sha256(content)]);
      assert.deepEqual(Buffer.concat(seen), content);
      for (const { files } of [it.stores, (await it.elsewhere()).stores]) {
        assert.deepEqual(await buffer(await files.open(file)), content);
        const part = await files.open(file, { start: 5, end: 9 });
        assert.deepEqual(await buffer(part), content.subarray(5, 10));
        const local = await files.localPath(file, 'ftjob-1');
        assert.ok(path.isAbsolute(local));
        assert.deepEqual(await readFile(local), content);
        assert.deepEqual(await readFile(await files.pathForNow(file)), content);
        await files.verify(file, slow);
      }
      await it.stores.files.remove(file.path);
      await it.stores.files.remove(file.path);
      const { files } = (await it.elsewhere()).stores;
      await assert.rejects(files.open(file), { code: 'file_missing', fault: 'system' });
      await assert.rejects(files.localPath(file, 'ftjob-1'), { code: 'file_missing' });
      await assert.rejects(files.pathForNow(file), { code: 'file_missing' });
      await assert.rejects(files.verify(file, slow), { code: 'file_missing' });
    });

    test('an empty file is a file; one of many parts is one, too', async () => {
      const empty = await it.stores.files.receive(Readable.from([]), { limit: 10 });
      assert.equal(empty.bytes, 0);
      assert.deepEqual(await buffer(await it.stores.files.open(empty)), Buffer.alloc(0));
      const content = randomBytes(21 * 2 ** 20);
      const file = await receive(content);
      const { files } = (await it.elsewhere()).stores;
      assert.equal(sha256(await buffer(await files.open(file))), sha256(content));
      const part = await files.open(file, { start: 16 * 2 ** 20 - 2, end: 16 * 2 ** 20 + 1 });
      assert.deepEqual(await buffer(part), content.subarray(16 * 2 ** 20 - 2, 16 * 2 ** 20 + 2));
    });

    test('whatever cuts an upload off, nothing is left', async () => {
      await leavesNothing(async () => {
        const { files } = it.stores;
        for (const size of [600, 9 * 2 ** 20]) {
          const chunks = () => Readable.from([Buffer.alloc(size), Buffer.alloc(size)]);
          const limit = 2 * size - 1;
          await assert.rejects(files.receive(chunks(), { limit }), { code: 'file_too_large', param: 'file' });
          const inspect = () => {
            throw new Error('not JSON');
          };
          await assert.rejects(files.receive(chunks(), { limit: 2 * size, inspect }), /not JSON/);
          async function* cutOff() {
            yield Buffer.alloc(size);
            throw new Error('connection reset');
          }
          await assert.rejects(files.receive(cutOff(), { limit: 2 * size }), /connection reset/);
        }
      });
    });

    test('the same content at once has a key for each, and removing one leaves the others', async () => {
      const content = randomBytes(10_000);
      const stored = await Promise.all(Array.from({ length: 8 }, () => receive(content)));
      assert.equal(new Set(stored.map((file) => file.path)).size, 8);
      await it.stores.files.remove(stored[0]!.path);
      for (const file of stored.slice(1)) {
        assert.deepEqual(await buffer(await it.stores.files.open(file)), content);
      }
    });

    test('a bit that flips in a stored file is never served, neither unread nor read before', async () => {
      const file = await receive(randomBytes(100_000));
      await it.flip(file.path);
      const { files } = (await it.elsewhere()).stores;
      await assert.rejects(files.open(file), { code: 'file_corrupt', fault: 'system' });
      await assert.rejects(files.open(file, { start: 0, end: 1 }), { code: 'file_corrupt' });
      await assert.rejects(files.localPath(file, 'ftjob-1'), { code: 'file_corrupt' });
      await assert.rejects(files.verify(file, slow), { code: 'file_corrupt' });

      const known = await receive(randomBytes(100_000));
      await buffer(await it.stores.files.open(known));
      await it.flip(known.path);
      await assert.rejects(it.stores.files.verify(known, slow), { code: 'file_corrupt' });
    });

    test('an artifact stands under the digest of its content', async () => {
      const folder = await stage(1, artifactFiles);
      const listing = `${sha256('sea')} 3 a/c.txt\n${sha256('bee')} 3 b.txt\n`;
      const { artifact, ...published } = await it.stores.artifacts.publish(folder);
      assert.deepEqual(published, {
        digest: sha256(listing),
        bytes: 6,
        files: [
          { path: 'a/c.txt', bytes: 3, sha256: sha256('sea') },
          { path: 'b.txt', bytes: 3, sha256: sha256('bee') },
        ],
      });
      assert.ok(artifact.startsWith(`${published.digest}-`));
      assert.ok(!existsSync(folder));
      for (const { artifacts } of [it.stores, (await it.elsewhere()).stores]) {
        assert.equal(await text(await artifacts.open(artifact, 'a/c.txt')), 'sea');
        assert.equal(await text(await artifacts.open(artifact, 'b.txt', { start: 1, end: 1 })), 'e');
        assert.equal(
          await readFile(path.join(await artifacts.localFolder(artifact), 'b.txt'), 'utf8'),
          'bee',
        );
        await artifacts.verify(artifact, slow);
        await assert.rejects(artifacts.open(artifact, 'none.txt'), { code: 'artifact_missing' });
        await assert.rejects(artifacts.open(artifact, '../../../secrets/pepper'), {
          code: 'artifact_missing',
        });
      }
    });

    test('the same content again is a separate artifact, and removing one leaves the other', async () => {
      const [one, two] = await Promise.all([
        stage(2, artifactFiles).then((folder) => it.stores.artifacts.publish(folder)),
        stage(3, artifactFiles).then((folder) => it.stores.artifacts.publish(folder)),
      ]);
      assert.equal(one!.digest, two!.digest);
      assert.notEqual(one!.artifact, two!.artifact);
      await it.stores.artifacts.remove(one!.artifact);
      await it.stores.artifacts.remove(one!.artifact);
      const { artifacts } = (await it.elsewhere()).stores;
      await assert.rejects(artifacts.localFolder(one!.artifact), {
        code: 'artifact_missing',
        fault: 'system',
      });
      await assert.rejects(artifacts.verify(one!.artifact, slow), { code: 'artifact_missing' });
      assert.equal(await text(await artifacts.open(two!.artifact, 'b.txt')), 'bee');
    });

    test('staging begins empty; an empty folder and anything but plain files are refused', async () => {
      await stage(7, { 'left-over.txt': 'x' });
      const { files } = await it.stores.artifacts.publish(await stage(7, { 'new.txt': 'y' }));
      assert.deepEqual(
        files.map((file) => file.path),
        ['new.txt'],
      );
      await leavesNothing(async () => {
        await assert.rejects(it.stores.artifacts.publish(await stage(8, {})), /at least one file/);
        const folder = await stage(9, { 'a.txt': 'x' });
        await symlink('/etc/passwd', path.join(folder, 'link'));
        await assert.rejects(it.stores.artifacts.publish(folder), /plain files only/);
      });
    });

    test('a bit that flips in an artifact is never served, neither unread nor read before', async () => {
      const { artifact } = await it.stores.artifacts.publish(await stage(10, { 'x.txt': 'content' }));
      await it.stores.artifacts.localFolder(artifact);
      await it.flip(`${artifact}/x.txt`);
      await assert.rejects(it.stores.artifacts.verify(artifact, slow), { code: 'artifact_corrupt' });
      const { artifacts } = (await it.elsewhere()).stores;
      await assert.rejects(artifacts.open(artifact, 'x.txt'), { code: 'artifact_corrupt', fault: 'system' });
      await assert.rejects(artifacts.localFolder(artifact), { code: 'artifact_corrupt' });
      await assert.rejects(artifacts.verify(artifact, slow), { code: 'artifact_corrupt' });
    });

    test('a checkpoint is found on another machine, whole; what is removed is gone everywhere', async () => {
      const job = `ftjob-${randomText(8)}`;
      const key = `checkpoints/${job}/00000003/step-00000040`;
      const { checkpoints } = it.stores;
      await assert.rejects(checkpoints.put(key));
      assert.equal(await checkpoints.fetch(key), null);
      const folder = checkpointFolder(it.dataDir, key);
      const state = randomBytes(9 * 2 ** 20);
      await mkdir(folder, { recursive: true });
      await writeFile(path.join(folder, 'state.safetensors'), state);
      await writeFile(path.join(folder, 'manifest.json'), '{}');
      await checkpoints.put(key);
      await checkpoints.put(key);
      assert.equal(await checkpoints.fetch(key), folder);
      const other = await it.elsewhere();
      const fetched = await other.stores.checkpoints.fetch(key);
      assert.equal(fetched, checkpointFolder(other.dataDir, key));
      assert.deepEqual(await readFile(path.join(fetched!, 'state.safetensors')), state);
      assert.equal(await readFile(path.join(fetched!, 'manifest.json'), 'utf8'), '{}');

      const jobs: string[] = [];
      for await (const id of other.stores.checkpoints.jobs()) jobs.push(id);
      assert.ok(jobs.includes(job));
      await checkpoints.remove(`checkpoints/${job}`);
      await checkpoints.remove(`checkpoints/${job}`);
      assert.equal(await (await it.elsewhere()).stores.checkpoints.fetch(key), null);
      assert.ok(!existsSync(folder));
      await assert.rejects(checkpoints.remove('checkpoints/../secrets'), /not the key of a checkpoint/);
    });

    test('lists report what is stored and when', async () => {
      const file = await receive(Buffer.from('x'));
      const { artifact } = await it.stores.artifacts.publish(await stage(11, { 'a.txt': 'listed' }));
      const files = new Map<string, Date>();
      for await (const { name, storedAt } of it.stores.files.list()) files.set(name, storedAt);
      const artifacts = new Map<string, Date>();
      for await (const { name: artifact, storedAt } of it.stores.artifacts.list()) {
        assert.ok(!artifacts.has(artifact), 'each once');
        artifacts.set(artifact, storedAt);
      }
      for (const time of [files.get(file.path), artifacts.get(artifact)]) {
        assert.ok(Math.abs(time!.getTime() - Date.now()) < 60_000, String(time));
      }
    });

    test('a name never leads out of the store', async () => {
      for (const name of ['../../etc/passwd', '', 'a', `${'a'.repeat(23)}/`, '..']) {
        const file = { path: name, bytes: 1, sha256: '0'.repeat(64) };
        await assert.rejects(it.stores.files.open(file), /not a file key/);
        await assert.rejects(it.stores.files.remove(name), /not a file key/);
        await assert.rejects(it.stores.artifacts.localFolder(name), /not an artifact name/);
        await assert.rejects(it.stores.artifacts.remove(name), /not an artifact name/);
      }
    });
  });
}
