import { chmod, chown, copyFile, lchown, link, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { removeBelow } from '@graft/service/storage';
import type { ChildUser } from './child-user.ts';

/** The files of one call that a child may access besides the base model. */
export interface Access {
  /** The child is replaced when the team changes, because it may remember the previous team's data. */
  team: string;
  /** Folders that the child writes; created where missing, and removed after the call. */
  writes: readonly string[];
  /** Files, and folders with all their files, that the child reads under other names, which `open` returns. */
  reads: readonly string[];
}

// Number of folders that a child can be given during its life, because its rules cannot be changed. A job uses three.
const spareFolders = 12;

/**
 * The part of the data folder that a confined child sees. The Landlock rules of a process are fixed at its start, and follow a folder
 * that is renamed. So each child may write to some spare folders, which are renamed to where the results of a job belong; and it may
 * read one folder, which contains hard links to the files of a job while the job lasts.
 */
export class SlotFolder {
  readonly #root: string;
  readonly #user: ChildUser | null;
  /** Folders that new children may write to and that no job has used. */
  #spares: string[] = [];
  /** Folders that the running calls write to. */
  readonly #open = new Set<string>();
  #team: string | null = null;
  #isMade = false;
  #calls = 0;
  #holder = 0;

  /** `root` must not exist yet. `user`: the user that the child runs as; null: the user of this process. */
  constructor(root: string, user: ChildUser | null) {
    this.#root = root;
    this.#user = user;
  }

  /** The team whose jobs the child runs; null before the first job. */
  get team(): string | null {
    return this.#team;
  }

  /** A counter that changes when a child that is already running must not be used for the next call. */
  get holder(): number {
    return this.#holder;
  }

  /** The rules for a child that is started now: `reads` and its own folders. */
  rulesWith(reads: readonly string[]): { reads: readonly string[]; writes: string[] } {
    return { reads: [...reads, this.#reads], writes: [...this.#spares, ...this.#open, this.#scratch] };
  }

  /** A private folder for the child's temporary files. */
  get scratch(): string {
    return this.#scratch;
  }

  /** Creates the folders. Call it before a child is started or called. */
  async prepare(): Promise<void> {
    if (!this.#isMade) await this.#renew();
  }

  /** Gives the child access to the files of a call. Returns the paths where it finds them, by the paths in `reads`. */
  async open({ team, writes, reads }: Access): Promise<Map<string, string>> {
    const isOther = this.#team !== null && this.#team !== team;
    const isUsedUp = !this.#isMade || this.#spares.length < writes.length;
    if (isOther || isUsedUp || !(await this.#areEmpty())) await this.#renew();
    this.#team = team;
    for (const folder of writes) {
      // Other users may pass through the folder but not list it, so they need to know the path already.
      await mkdir(dirname(folder), { recursive: true, mode: 0o711 });
      const spare = this.#spares.pop()!;
      if (this.#user) {
        // With setgid, files in the folder have this process's group, so that it can read them while the child writes.
        await chmod(spare, 0o2770);
        await lchown(spare, this.#user.uid, process.getgid!());
      }
      await rename(spare, folder);
      this.#open.add(folder);
    }
    const places = new Map<string, string>();
    for (const path of reads) {
      const folder = join(this.#reads, String(this.#calls++));
      await this.#makeReadable(folder);
      const place = join(folder, basename(path));
      await this.#show(path, place).catch(async (error: NodeJS.ErrnoException) => {
        // The trainer skips a lost checkpoint, and reports any other missing file.
        if (error.code !== 'ENOENT') throw error;
        await rm(place, { recursive: true, force: true });
      });
      places.set(path, place);
    }
    return places;
  }

  /** Ends the access after the call. This process has copied what the child wrote. */
  async close({ writes }: Access, places: ReadonlyMap<string, string>): Promise<void> {
    for (const folder of writes) {
      this.#open.delete(folder);
      await removeBelow(dirname(folder), folder);
    }
    for (const place of places.values()) await rm(dirname(place), { recursive: true, force: true });
  }

  /** Removes the folders. Call it when no child runs any more. */
  async remove(): Promise<void> {
    this.#isMade = false;
    await rm(this.#root, { recursive: true, force: true });
  }

  get #reads(): string {
    return join(this.#root, 'reads');
  }

  get #scratch(): string {
    return join(this.#root, 'scratch');
  }

  /** Recreates the folders for a new child, because the previous child may have left files. */
  async #renew(): Promise<void> {
    this.#holder += 1;
    await rm(this.#root, { recursive: true, force: true });
    await mkdir(dirname(this.#root), { recursive: true, mode: 0o711 });
    await this.#makeReadable(this.#root);
    await this.#makeReadable(this.#reads);
    await mkdir(this.#scratch, { mode: 0o700 });
    if (this.#user) await lchown(this.#scratch, this.#user.uid, this.#user.gid);
    this.#spares = Array.from({ length: spareFolders }, (_, index) => join(this.#root, `spare-${index}`));
    for (const spare of this.#spares) await mkdir(spare, { mode: 0o700 });
    this.#isMade = true;
  }

  /** Checks whether all spare folders exist and are empty. */
  async #areEmpty(): Promise<boolean> {
    for (const spare of this.#spares) if ((await readdir(spare).catch(() => [''])).length > 0) return false;
    return true;
  }

  /** Creates a folder that the child may list, but not the users of other slots. */
  async #makeReadable(folder: string): Promise<void> {
    await mkdir(folder, { mode: 0o700 });
    if (!this.#user) return;
    await chown(folder, process.getuid!(), this.#user.gid);
    await chmod(folder, 0o750);
  }

  /** Hard-links a file, or each file of a folder; copies where links are impossible. */
  async #show(path: string, place: string): Promise<void> {
    if ((await lstat(path)).isDirectory()) {
      await this.#makeReadable(place);
      for (const name of await readdir(path)) await this.#show(join(path, name), join(place, name));
      return;
    }
    await link(path, place).catch(async (error: NodeJS.ErrnoException) => {
      if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP'].includes(error.code!)) throw error;
      await copyFile(path, place);
    });
    // A file may be read in several slots. Another user reaches it only through the slot's folder.
    if (this.#user) await chmod(place, 0o644);
  }
}
