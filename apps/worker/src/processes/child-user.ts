import { execFile } from 'node:child_process';
import { chmod, chown, lchown, mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findUser } from '@graft/service';

/** Whom child processes run as, when that is not this process's own user. */
export interface ChildUser {
  uid: number;
  gid: number;
  /** Folder for the digests of base models that they compute: this process's own they may not write. */
  digestCache: string;
}

/**
 * Reads GRAFT_TRAINER_USER: a name, or `uid:gid`; makes `digestCache` for that user. Throws an Error for the operator; only root
 * may change users.
 */
export async function findChildUser(
  setting: string | undefined,
  digestCache: string,
): Promise<ChildUser | null> {
  if (setting === undefined) return null;
  if (process.getuid?.() !== 0)
    throw new Error(
      'GRAFT_TRAINER_USER is set, but only a worker that runs as root can start trainers as another user.',
    );
  const [uid, gid] = setting.split(':').map(Number);
  const user =
    Number.isInteger(uid) && Number.isInteger(gid) ? { uid: uid!, gid: gid! } : await findUser(setting);
  if (!user) throw new Error(`GRAFT_TRAINER_USER: this machine has no user ${setting}.`);
  if (user.uid === 0) throw new Error('GRAFT_TRAINER_USER must be another user than root.');
  await mkdir(digestCache, { recursive: true, mode: 0o700 });
  await lchown(digestCache, user.uid, user.gid);
  return { ...user, digestCache };
}

/** What one call lets a child of another user do. */
export interface Access {
  /** Folders that it writes; made where missing, and this process's own again when the call is over. */
  writes: string[];
  /** Files that it reads. It may not list the folders that they lie in. */
  reads: string[];
}

/** Before the child is asked. */
export async function openTo(user: ChildUser, { writes, reads }: Access): Promise<void> {
  for (const folder of writes) {
    // Others may pass, since the folder's path tells nobody who does not know it already.
    await mkdir(dirname(folder), { recursive: true, mode: 0o711 });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // The folder alone: what lies in it from before stays as it is.
    await lchown(folder, user.uid, user.gid);
  }
  for (const file of reads) {
    await chmod(dirname(file), 0o711);
    await chown(file, process.getuid!(), user.gid);
    await chmod(file, 0o640);
  }
}

/** After the call: what the child has written is kept from it: it reads that, and changes nothing of it any more. */
export async function takeBack({ writes }: Access): Promise<void> {
  for (const folder of writes) {
    await own(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await chmod(folder, 0o755).catch(() => {});
  }
}

/** Follows no link that the child may have left. */
async function own(folder: string): Promise<void> {
  const [uid, gid] = [process.getuid!(), process.getgid!()];
  await lchown(folder, uid, gid);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await own(path);
    else await lchown(path, uid, gid);
  }
}

/** Whether the user gets to a folder, through all those above it. */
export async function canReach(user: ChildUser, folder: string): Promise<boolean> {
  const asked = promisify(execFile)('/bin/sh', ['-c', 'test -x "$0"', folder], {
    uid: user.uid,
    gid: user.gid,
    cwd: '/',
  });
  return await asked.then(
    () => true,
    () => false,
  );
}
