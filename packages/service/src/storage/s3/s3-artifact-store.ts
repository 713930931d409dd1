import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { ArtifactKind, ArtifactStore } from '../artifact-store.ts';
import { newArtifact } from '../disk/describe-folder.ts';
import { openFile, stageOn, verifyFolder } from '../disk/disk-artifact-store.ts';
import { digested, digestFile, FileDigests } from '../disk/file-digests.ts';
import { createdAtOf, digestOfArtifact } from '../object-name.ts';
import { artifactCorrupt, artifactMissing, onStorage } from '../storage-fault.ts';
import { throttled } from '../throttled.ts';
import type { LocalCache } from './local-cache.ts';
import type { S3Objects } from './s3-objects.ts';
import { fetchFolder, putFolder, readListing, removeFolder } from './transfer.ts';

const faults = { corrupt: artifactCorrupt, missing: artifactMissing };

/**
 * Stores artifacts as objects `<kind>/<ab>/<name>/<path>` and, last, `<name>.listing`, whose SHA-256 is the digest. Reads go through the
 * cache, so files are verified before their first byte is returned.
 */
export function createS3ArtifactStore(
  objects: S3Objects,
  cache: LocalCache,
  dataDir: string,
  kind: ArtifactKind = 'artifacts',
): ArtifactStore {
  const digests = new FileDigests();
  const root = `${kind}/`;
  const keyOf = (artifact: string) => `${root}${digestOfArtifact(artifact).slice(0, 2)}/${artifact}`;

  async function listed(artifact: string) {
    const listing = await readListing(objects, keyOf(artifact), artifactCorrupt);
    if (!listing) throw artifactMissing();
    if (listing.digest !== digestOfArtifact(artifact)) throw artifactCorrupt();
    return listing.files;
  }

  async function verified(artifact: string, afresh = false) {
    const digest = digestOfArtifact(artifact);
    const fetched = async () =>
      await cache.get(kind, artifact, 0, async (draft) => {
        await fetchFolder(objects, keyOf(artifact), await listed(artifact), draft, faults);
      });
    const digestOf = (file: string) => (afresh ? digestFile(file) : digests.of(file));
    const folder = await fetched();
    try {
      return { folder, files: await verifyFolder(folder, digest, digestOf) };
    } catch {
      // The local copy is damaged, not the objects.
      await cache.drop(folder);
      const again = await fetched();
      return { folder: again, files: await verifyFolder(again, digest, digestOf) };
    }
  }

  return {
    stage: async (id, epoch, token = null) => await stageOn(dataDir, kind, { id, epoch, token }),
    publish: async (folder) => {
      const stored = await onStorage(() => newArtifact(folder, (file) => digestFile(file)));
      await putFolder(objects, keyOf(stored.artifact), folder, stored.files);
      await rm(folder, { recursive: true, force: true });
      return stored;
    },
    open: async (artifact, name, range) => {
      const { folder, files } = await verified(artifact);
      return await openFile(folder, files, name, range);
    },
    localFolder: async (artifact, { afresh = false } = {}) => (await verified(artifact, afresh)).folder,
    verify: async (artifact, options) => {
      for (const file of await listed(artifact)) {
        const stream = await objects.get(`${keyOf(artifact)}/${file.path}`);
        if (!stream) throw artifactMissing();
        for await (const _ of digested(throttled(stream, options), file, artifactCorrupt));
      }
    },
    remove: async (artifact) => await removeFolder(objects, keyOf(artifact)),
    list: async function* () {
      let last = '';
      for await (const { key, storedAt } of objects.list(root)) {
        const name = path.basename(key.split('/')[2] ?? '', '.listing');
        if (name === last || !/^[0-9a-f]{64}/.test(name)) continue;
        last = name;
        yield { name, storedAt: createdAtOf(name) ?? storedAt };
      }
    },
  };
}
