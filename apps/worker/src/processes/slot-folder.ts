import { chmod, chown, copyFile, lchown, link, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { removeBelow } from '@graft/service';
import type { ChildUser } from './child-user.ts';

/** What one call lets a child reach besides the base model. */
export interface Access {
  /** The child makes a new process when this changes: another team's child may know what this one's data was. */
  team: string;
  /** Folders that it writes; made where missing, and gone when the call is over. */
  writes: readonly string[];
  /** Files, and folders with all their files, that it reads: under other names, which `open` answers. */
  reads: readonly string[];
}

// So many folders a child may be given while it runs: its rules cannot be changed. A job takes three.
const spareFolders = 12;

/**
 * What a confined child sees of the data folder. The rules of a process are fixed at its start, and stay with a folder that is
 * renamed. So each child may write some spare folders, which are then moved to where a job's results belong; and it may read one
 * folder, which gets a second name of each file of a job, for as long as the job lasts.
 */
export class SlotFolder {
  readonly #root: string;
  readonly #user: ChildUser | null;
  /** Folders that children started from now on may write, and that no job has yet. */
  #spares: string[] = [];
  /** What the running calls write. */
  readonly #open = new Set<string>();
  #team: string | null = null;
  #isMade = false;
  #calls = 0;
  #holder = 0;

  /** `root` is not there yet. `user`: whom the child runs as; null: as this process does. */
  constructor(root: string, user: ChildUser | null) {
    this.#root = root;
    this.#user = user;
  }

  /** Whose jobs its child does; null: nobody's yet, or it would be a new child. */
  get team(): string | null {
    return this.#team;
  }

  /** Changes when a child that was started before may not do the next call. */
  get holder(): number {
    return this.#holder;
  }

  /** What a child that is started now may reach: `reads` besides its own folders. */
  rulesWith(reads: readonly string[]): { reads: readonly string[]; writes: string[] } {
    return { reads: [...reads, this.#reads], writes: [...this.#spares, ...this.#open, this.#scratch] };
  }

  /** Where the child may put what nobody else needs. */
  get scratch(): string {
    return this.#scratch;
  }

  /** Before a child is started or called. */
  async prepare(): Promise<void> {
    if (!this.#isMade) await this.#renew();
  }

  /** Before the child is called. Answers where it finds what it reads, by the paths of `reads`. */
  async open({ team, writes, reads }: Access): Promise<Map<string, string>> {
    const isOther = this.#team !== null && this.#team !== team;
    const isUsedUp = !this.#isMade || this.#spares.length < writes.length;
    if (isOther || isUsedUp || !(await this.#areEmpty())) await this.#renew();
    this.#team = team;
    for (const folder of writes) {
      // Others may pass, since the folder's path is known to nobody who does not know it already.
      await mkdir(dirname(folder), { recursive: true, mode: 0o711 });
      const spare = this.#spares.pop()!;
      if (this.#user) {
        // This process's group, which folders in it have too: it looks into them while the child writes.
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
        // A checkpoint that was lost is passed over by the trainer, and a file that is needed is missed there.
        if (error.code !== 'ENOENT') throw error;
        await rm(place, { recursive: true, force: true });
      });
      places.set(path, place);
    }
    return places;
  }

  /** After the call. Of what the child has written this process has copies. */
  async close({ writes }: Access, places: ReadonlyMap<string, string>): Promise<void> {
    for (const folder of writes) {
      this.#open.delete(folder);
      await removeBelow(dirname(folder), folder);
    }
    for (const place of places.values()) await rm(dirname(place), { recursive: true, force: true });
  }

  /** When no child runs any more. */
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

  /** New folders for a new child: the one before may have left something in them. */
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

  /** False also where one is gone, as after somebody has cleared the folder away. */
  async #areEmpty(): Promise<boolean> {
    for (const spare of this.#spares) if ((await readdir(spare).catch(() => [''])).length > 0) return false;
    return true;
  }

  /** A folder that the child may list, and no user of another slot. */
  async #makeReadable(folder: string): Promise<void> {
    await mkdir(folder, { mode: 0o700 });
    if (!this.#user) return;
    await chown(folder, process.getuid!(), this.#user.gid);
    await chmod(folder, 0o750);
  }

  /** Gives a file, or each of a folder, a second name. */
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
    // One file may be read in several slots at once. Only by the name in a slot's folder does another user get to it.
    if (this.#user) await chmod(place, 0o644);
  }
}
