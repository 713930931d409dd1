import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, mkdir, open, opendir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '@graft/peft-core/config';
import type { AdapterFile } from '../adapters/adapter.ts';
import type { ArtifactStore } from './artifact-store.ts';
import { dataFolder } from './data-folder.ts';
import { fsyncFolder } from './fsync-folder.ts';

/** Artifacts as folders of the data folder. */
export function createDiskArtifactStore(dataDir: string): ArtifactStore {
  const { artifacts, artifact, staged } = dataFolder(dataDir);

  function locate(digest: string): string {
    if (!/^[0-9a-f]{64}$/.test(digest)) throw new Error('not an artifact digest');
    return artifact(digest);
  }
  async function existing(file: string): Promise<string> {
    await access(file).catch((cause: unknown) => {
      throw new GraftError('artifact_missing', 'The files of this adapter version are gone.', {
        fault: 'system',
        cause,
      });
    });
    return file;
  }

  return {
    stage: async (jobId, epoch) => {
      const folder = staged(jobId, epoch);
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      return folder;
    },
    publish: async (folder) => {
      const files = await describe(folder);
      const listing = files.map((file) => `${file.sha256} ${file.bytes} ${file.path}\n`).join('');
      const digest = createHash('sha256').update(listing).digest('hex');
      const target = locate(digest);
      await mkdir(path.dirname(target), { recursive: true });
      // A folder's own time decides when an unreferenced one is collected: count from now, also when it is reused.
      const now = new Date();
      try {
        await utimes(folder, now, now);
        await rename(folder, target);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
        await utimes(target, now, now);
        await rm(folder, { recursive: true, force: true });
      }
      await fsyncFolder(path.dirname(target));
      return { digest, files, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
    },
    open: async (digest, name, range) => {
      const folder = locate(digest);
      const file = path.join(folder, name);
      if (!file.startsWith(folder + path.sep)) throw new Error('not a file of an artifact');
      return createReadStream(await existing(file), range ?? {});
    },
    localFolder: async (digest) => await existing(locate(digest)),
    remove: async (digest) => await rm(locate(digest), { recursive: true, force: true }),
    list: async function* () {
      for (const prefix of await readdir(artifacts).catch(() => [])) {
        for await (const entry of await opendir(path.join(artifacts, prefix))) {
          if (!/^[0-9a-f]{64}$/.test(entry.name)) continue;
          const { mtime } = await stat(path.join(artifacts, prefix, entry.name));
          yield { digest: entry.name, storedAt: mtime };
        }
      }
    },
  };
}

/** Digest and length of every file of a folder, in the order of their paths; each is made durable on the way. */
async function describe(folder: string): Promise<AdapterFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files: AdapterFile[] = [];
  for (const entry of entries) {
    const absolute = path.join(entry.parentPath, entry.name);
    if (entry.isDirectory()) {
      await fsyncFolder(absolute);
      continue;
    }
    if (!entry.isFile()) throw new Error('an artifact holds plain files only');
    const digest = createHash('sha256');
    let bytes = 0;
    const handle = await open(absolute, 'r');
    try {
      for await (const chunk of handle.createReadStream({ autoClose: false })) {
        digest.update(chunk);
        bytes += chunk.length;
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    files.push({
      path: path.relative(folder, absolute).replaceAll(path.sep, '/'),
      bytes,
      sha256: digest.digest('hex'),
    });
  }
  if (files.length === 0) throw new Error('an artifact holds at least one file');
  await fsyncFolder(folder);
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}
