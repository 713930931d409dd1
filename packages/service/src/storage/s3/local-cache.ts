import { link, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { dataFolder } from '../../data-folder/data-folder.ts';
import { randomText } from '../../ids.ts';
import { isStorageAway, onStorage } from '../storage-fault.ts';

/** What was used this recently is not removed: somebody may be about to read it. */
const recentMs = 10 * 60 * 1000;
/** A trainer of another user finds what it is told the path of, and lists nothing. */
const passable = 0o711;

/**
 * What this machine has fetched of a store elsewhere, as files and folders below `cache`, the longest unused removed first when
 * there are more than `limit` bytes. Processes of one machine share it. Whoever reads an entry verifies it.
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
   * Absolute path of the entry `kind/name`, made by `fill` when there is none: in a place of its own that is renamed when it is
   * whole. `bytes` is what it will take.
   */
  async get(
    kind: 'files' | 'artifacts',
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

  /** A second name for a file of the cache, which stays until `jobId` is over, whatever the cache removes. */
  async hold(entry: string, jobId: string): Promise<string> {
    const folder = path.join(this.#root, 'held', jobId);
    const held = path.join(folder, `${path.basename(entry)}-${randomText(8)}`);
    return await onStorage(async () => {
      await mkdir(folder, { recursive: true, mode: passable });
      await link(entry, held);
      return held;
    });
  }

  /** A place in the cache's file system for something that is moved elsewhere once it is whole. */
  async draft(): Promise<string> {
    const folder = path.join(this.#root, 'incoming');
    await mkdir(folder, { recursive: true, mode: passable });
    return path.join(folder, randomText(16));
  }

  async #fetch(entry: string, bytes: number, fill: (draft: string) => Promise<void>): Promise<string> {
    await this.#makeRoom(this.#limit - bytes);
    const fetched = async () => await onStorage(async () => await this.#fill(entry, fill));
    try {
      return await fetched();
    } catch (error) {
      if (!isStorageAway(error)) throw error;
      // Perhaps this machine's disk is full of what the cache may do without.
      if ((await this.#makeRoom(0)) === 0) throw error;
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

  /** Removes the longest unused entries until at most `target` bytes are left. Answers how many it removed. */
  async #makeRoom(target: number): Promise<number> {
    const entries: { entry: string; bytes: number; usedAt: number }[] = [];
    for (const kind of ['files', 'artifacts']) {
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
