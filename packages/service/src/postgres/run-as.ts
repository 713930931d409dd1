import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chownSync, existsSync, mkdirSync } from 'node:fs';
import { cp, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { PostgresBinaries } from './postgres-binaries.ts';

/** The user as whom Postgres runs; empty for the user of this process. */
export type RunAs = { uid?: number; gid?: number };

/** Folder for files that an unprivileged user cannot reach in their usual place, such as root's home folder. */
const sharedFolder = '/var/lib/graft';

/** Chooses the user. Postgres refuses to run as root, so it then runs as `postgres` or `nobody`. */
export async function chooseUser(): Promise<RunAs> {
  if (process.getuid?.() !== 0) return {};
  for (const name of ['postgres', 'nobody']) {
    const user = await findUser(name);
    if (user) return user;
  }
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** Finds a user of this machine by name; null if there is none. */
export async function findUser(name: string): Promise<Required<RunAs> | null> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const entry = lines.find((fields) => fields[0] === name);
  return entry ? { uid: Number(entry[2]), gid: Number(entry[3]) } : null;
}

function canReach(file: string, user: RunAs): boolean {
  return spawnSync('/bin/sh', ['-c', 'test -x "$0"', file], { ...user, cwd: '/' }).status === 0;
}

/** Returns `<folder>/cluster`, or a path that the user can reach. Its parent exists and belongs to the user. */
export function placeCluster(folder: string, user: RunAs): string {
  if (user.uid === undefined) return path.join(folder, 'cluster');
  if (canReach(folder, user)) {
    // A separate folder below: the files beside it, such as the password, stay root's.
    const home = path.join(folder, 'server');
    makeFor(home, user);
    return path.join(home, 'cluster');
  }
  const home = path.join(sharedFolder, createHash('sha256').update(folder).digest('hex').slice(0, 16));
  makeFor(home, user);
  return path.join(home, 'cluster');
}

function makeFor(folder: string, user: RunAs): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  chownSync(folder, user.uid!, user.gid!);
}

/** Returns a folder with bin, lib and share whose files the user can execute: that of npm, or a copy. */
export async function placeBinaries(binaries: PostgresBinaries, user: RunAs): Promise<string> {
  if (user.uid === undefined || canReach(path.join(binaries.native, 'bin', 'postgres'), user)) {
    return binaries.native;
  }
  const copy = path.join(sharedFolder, `postgres-${binaries.version}`);
  if (existsSync(copy)) return copy;
  const draft = `${copy}.${process.pid}`;
  mkdirSync(sharedFolder, { recursive: true, mode: 0o755 });
  await cp(binaries.native, draft, { recursive: true, verbatimSymlinks: true });
  await rename(draft, copy).catch(async (error: NodeJS.ErrnoException) => {
    await rm(draft, { recursive: true, force: true });
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  return copy;
}
