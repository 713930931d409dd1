import { readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { dataFolder } from '../../data-folder/data-folder.ts';
import type { AdapterFile, ArtifactKind, ArtifactStore } from '../artifact-store.ts';
import { digestOfArtifact } from '../object-name.ts';
import { artifactCorrupt, artifactMissing, onStorage, throwIfMissing } from '../storage-fault.ts';
import { describeFolder, digestOfListing, listingOf, newArtifact } from './describe-folder.ts';
import { digestFile, FileDigests, readDigested } from './file-digests.ts';
import { fsyncFolder, fsyncUpTo, makeFolder } from './fsync-folder.ts';
import { listObjects } from './list-objects.ts';
import { removeBelow } from './remove-below.ts';

export function createDiskArtifactStore(dataDir: string, kind: ArtifactKind = 'artifacts'): ArtifactStore {
  const layout = dataFolder(dataDir);
  const pathOf = kind === 'exports' ? layout.export : layout.artifact;
  const digests = new FileDigests();

  const verified = async (artifact: string, digestOf = (file: string) => digests.of(file)) => {
    const digest = digestOfArtifact(artifact);
    const folder = pathOf(artifact);
    return { folder, files: await verifyFolder(folder, digest, digestOf) };
  };

  return {
    stage: async (id, epoch, token = null) => await stageOn(dataDir, kind, { id, epoch, token }),
    publish: async (folder) =>
      await onStorage(async () => {
        const stored = await newArtifact(folder, (file) => digestFile(file, { sync: true }));
        await fsyncFolders(folder);
        const target = pathOf(stored.artifact);
        await makeFolder(path.dirname(target), dataDir);
        await rename(folder, target);
        await fsyncUpTo(path.dirname(target), dataDir);
        return stored;
      }),
    open: async (artifact, name, range) => {
      const { folder, files } = await verified(artifact);
      return await openFile(folder, files, name, range);
    },
    localFolder: async (artifact, { afresh = false } = {}) =>
      (await verified(artifact, afresh ? (file) => digestFile(file) : undefined)).folder,
    verify: async (artifact, options) => {
      await verified(artifact, (file) => digestFile(file, options));
    },
    remove: async (artifact) => {
      digestOfArtifact(artifact);
      await onStorage(() => rm(pathOf(artifact), { recursive: true, force: true }));
    },
    list: () => listObjects(layout[kind], { folder: /./, object: /^[0-9a-f]{64}/ }),
  };
}

/** Creates an empty folder `<staging>/<id>/<epoch>/<token>` in the data folder; each kind has its own staging folder. */
export async function stageOn(
  dataDir: string,
  kind: ArtifactKind,
  { id, epoch, token }: { id: string; epoch: number; token: string | null },
): Promise<string> {
  const { staged, staging, exportStaged, exportStaging } = dataFolder(dataDir);
  const isExport = kind === 'exports';
  const folder = (isExport ? exportStaged : staged)(id, epoch, token);
  return await onStorage(async () => {
    await removeBelow(isExport ? exportStaging : staging, folder);
    await makeFolder(folder, dataDir);
    return folder;
  });
}

/** Returns the files of a folder after verifying its digest. Throws GraftError `artifact_missing`, `artifact_corrupt`. */
export async function verifyFolder(
  folder: string,
  digest: string,
  digestOf: (file: string) => Promise<Omit<AdapterFile, 'path'>>,
): Promise<AdapterFile[]> {
  return await onStorage(async () => {
    const files = await describeFolder(folder, digestOf).catch((error) =>
      throwIfMissing(error, artifactMissing),
    );
    if (digestOfListing(listingOf(files)) !== digest) throw artifactCorrupt();
    return files;
  });
}

/** Opens one of a folder's verified files. */
export async function openFile(
  folder: string,
  files: readonly AdapterFile[],
  name: string,
  range: Parameters<ArtifactStore['open']>[2],
) {
  const file = files.find((each) => each.path === name);
  if (!file) throw artifactMissing();
  return await onStorage(() => readDigested(path.join(folder, name), file, range, artifactCorrupt));
}

async function fsyncFolders(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) await fsyncFolder(path.join(entry.parentPath, entry.name));
  }
  await fsyncFolder(folder);
}
