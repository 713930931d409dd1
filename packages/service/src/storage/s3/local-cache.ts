import { link, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { dataFolder } from '../../data-folder/data-folder.ts';
import { randomText } from '../../ids.ts';
import type { ArtifactKind } from '../artifact-store.ts';
import { isStorageUnavailable, onStorage } from '../storage-fault.ts';

/** Entries used within this time are not removed, because somebody may be about to read them. */
const recentMs = 10 * 60 * 1000;
/** Mode of folders: a trainer of another user can open paths that it knows, but not list them. */
const passable = 0o711;

/**
 * Local cache of a remote store, with files and folders below `cache`; the least recently used entries are removed when it exceeds `limit`
 * bytes. The processes of a machine share it. Readers verify the entries.
 */
export class LocalCache {
  readonly #root: string;
  readonly #limit: number;
  readonly #fetching = new Map<string, Promise<string>>();

  constructor(dataDir: string, limit: number) {
    this.#root = dataFolder(dataDir).cache;
    this.#limit = limit;
  }

  /**
   * Returns the absolute path of the entry `kind/name`. `fill` creates a missing entry under a temporary name, which is then renamed.
   * `bytes` is its expected size.
   */
  async get(
    kind: 'files' | ArtifactKind,
    name: string,
    bytes: number,
    fill: (draft: string) => Promise<void>,
  ): Promise<string> {
    const entry = path.join(this.#root, kind, name);
    const now = new Date();
    const found = await utimes(entry, now, now).then(
      () => true,
      () => false,
    );
    if (found) return entry;
    let fetching = this.#fetching.get(entry);
    if (!fetching) {
      fetching = this.#fetch(entry, bytes, fill).finally(() => this.#fetching.delete(entry));
      this.#fetching.set(entry, fetching);
    }
    return await fetching;
  }

  async drop(entry: string): Promise<void> {
    await rm(entry, { recursive: true, force: true });
  }

  /** Creates a hard link to a cached file that stays until the job ends, even if the cache removes the entry. */
  async hold(entry: string, jobId: string): Promise<string> {
    const folder = path.join(this.#root, 'held', jobId);
    const held = path.join(folder, `${path.basename(entry)}-${randomText(8)}`);
    return await onStorage(async () => {
      await mkdir(folder, { recursive: true, mode: passable });
      await link(entry, held);
      return held;
    });
  }

  /** Returns a temporary path in the cache's file system. */
  async draft(): Promise<string> {
    const folder = path.join(this.#root, 'incoming');
    await mkdir(folder, { recursive: true, mode: passable });
    return path.join(folder, randomText(16));
  }

  async #fetch(entry: string, bytes: number, fill: (draft: string) => Promise<void>): Promise<string> {
    await this.#evict(this.#limit - bytes);
    const fetched = async () => await onStorage(async () => await this.#fill(entry, fill));
    try {
      return await fetched();
    } catch (error) {
      if (!isStorageUnavailable(error)) throw error;
      // The local disk may be full of entries that the cache can drop.
      if ((await this.#evict(0)) === 0) throw error;
      return await fetched();
    }
  }

  async #fill(entry: string, fill: (draft: string) => Promise<void>): Promise<string> {
    const draft = await this.draft();
    try {
      await fill(draft);
      await mkdir(path.dirname(entry), { recursive: true, mode: passable });
      await rename(draft, entry).catch(async (error: NodeJS.ErrnoException) => {
        // Another process has fetched the folder meanwhile.
        if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
      });
      return entry;
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
  }

  /** Removes the least recently used entries until at most `target` bytes are left. Returns how many it removed. */
  async #evict(target: number): Promise<number> {
    const entries: { entry: string; bytes: number; usedAt: number }[] = [];
    for (const kind of ['files', 'artifacts', 'exports']) {
      for (const name of await readdir(path.join(this.#root, kind)).catch(() => [])) {
        const entry = path.join(this.#root, kind, name);
        const about = await stat(entry).catch(() => null);
        if (about) entries.push({ entry, bytes: await bytesOf(entry), usedAt: about.mtimeMs });
      }
    }
    let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    let removed = 0;
    for (const { entry, bytes, usedAt } of entries.sort((a, b) => a.usedAt - b.usedAt)) {
      if (total <= target || Date.now() - usedAt < recentMs) break;
      await this.drop(entry);
      total -= bytes;
      removed += 1;
    }
    return removed;
  }
}

async function bytesOf(entry: string): Promise<number> {
  const about = await stat(entry).catch(() => null);
  if (!about?.isDirectory()) return about?.size ?? 0;
  const sizes = (await readdir(entry).catch(() => [])).map((name) => bytesOf(path.join(entry, name)));
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}
