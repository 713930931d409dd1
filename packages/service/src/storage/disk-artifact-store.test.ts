import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { ArtifactStore } from './artifact-store.ts';
import { createDiskArtifactStore } from './disk-artifact-store.ts';

let dataDir: string;
let store: ArtifactStore;
before(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'graft-artifacts-'));
  store = createDiskArtifactStore(dataDir);
});
after(async () => await rm(dataDir, { recursive: true, force: true }));

async function stage(epoch: number, files: Record<string, string>): Promise<string> {
  const folder = await store.stage('ftjob-1', epoch);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
  return folder;
}

const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');
const content = { 'b.txt': 'bee', 'a/c.txt': 'sea' };
const listing = `${sha256('sea')} 3 a/c.txt\n${sha256('bee')} 3 b.txt\n`;

test('what is published stands under the digest of its content', async () => {
  const folder = await stage(1, content);
  const published = await store.publish(folder);
  assert.deepEqual(published, {
    digest: sha256(listing),
    bytes: 6,
    files: [
      { path: 'a/c.txt', bytes: 3, sha256: sha256('sea') },
      { path: 'b.txt', bytes: 3, sha256: sha256('bee') },
    ],
  });
  assert.ok(!existsSync(folder));
  assert.equal(await text(await store.open(published.digest, 'a/c.txt')), 'sea');
  assert.equal(await text(await store.open(published.digest, 'b.txt', { start: 1, end: 1 })), 'e');
  assert.ok(existsSync(path.join(await store.localFolder(published.digest), 'b.txt')));
});

test('the same content twice is stored once, and counts as new', async () => {
  const first = await store.publish(await stage(1, content));
  const target = await store.localFolder(first.digest);
  await utimes(target, new Date(0), new Date(0));
  const folder = await stage(2, content);
  assert.deepEqual(await store.publish(folder), first);
  assert.ok(!existsSync(folder));
  const listed = [];
  for await (const artifact of store.list()) listed.push(artifact);
  assert.deepEqual(
    listed.map(({ digest }) => digest),
    [first.digest],
  );
  assert.ok(Date.now() - listed[0]!.storedAt.getTime() < 60_000);
});

test('staging begins empty', async () => {
  await stage(7, { 'left-over.txt': 'x' });
  const { files } = await store.publish(await stage(7, { 'new.txt': 'y' }));
  assert.deepEqual(
    files.map((file) => file.path),
    ['new.txt'],
  );
});

test('an empty folder and anything but plain files are refused', async () => {
  await assert.rejects(store.publish(await store.stage('ftjob-2', 1)), /at least one file/);
  const folder = await stage(8, { 'a.txt': 'x' });
  await symlink('/etc/passwd', path.join(folder, 'link'));
  await assert.rejects(store.publish(folder), /plain files only/);
});

test('missing artifacts are told apart from wrong names', async () => {
  const { digest } = await store.publish(await stage(9, { 'a.txt': 'nine' }));
  await assert.rejects(store.open(digest, 'none.txt'), { code: 'artifact_missing', fault: 'system' });
  await assert.rejects(store.open(digest, '../../../secrets/pepper'), /not a file of an artifact/);
  await assert.rejects(store.localFolder('..'), /not an artifact digest/);
  await store.remove(digest);
  await store.remove(digest);
  await assert.rejects(store.localFolder(digest), { code: 'artifact_missing' });
});
