import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { CommandError } from './errors.ts';
import { readIfPresent } from './options/arguments.ts';

/** The settings that `graft login` saves. The keys are only sent to this base URL. */
export interface Profile {
  baseUrl: string;
  /** Key of a team. */
  apiKey?: string;
  /** Operator key, for `graft admin`. */
  operatorKey?: string;
}

export const sameUrl = (a: string, b: string): boolean => a.replace(/\/+$/, '') === b.replace(/\/+$/, '');
export const isOperatorKey = (key: string): boolean => key.startsWith('graft_op_');

export function profilePath(env = process.env): string {
  const folder =
    env.XDG_CONFIG_HOME ||
    (process.platform === 'win32' && env.APPDATA ? env.APPDATA : join(homedir(), '.config'));
  return join(folder, 'graft', 'profile.json');
}

/** Reads the saved profile; null where there is none. */
export function readProfile(path = profilePath()): Profile | null {
  const text = readIfPresent(path);
  if (text === null) return null;
  if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0) {
    process.stderr.write(`graft: others may read your key; making ${path} private.\n`);
    chmodSync(path, 0o600);
  }
  try {
    const { baseUrl, ...keys } = JSON.parse(text) as Partial<Profile>;
    const isKey = (key: unknown) => typeof key === 'string';
    if (typeof baseUrl === 'string' && isKey(keys.apiKey ?? keys.operatorKey)) return { baseUrl, ...keys };
  } catch {
    // The error is reported below without the content, which may contain a key.
  }
  throw new CommandError(`${path} is damaged; run \`graft login\` again.`);
}

/** Writes the profile. The file is created with mode 0600, so that no other user can ever read it. */
export function writeProfile(profile: Profile, path = profilePath()): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(profile, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(temporary, path);
}

/** Deletes the profile; returns whether there was one. */
export function deleteProfile(path = profilePath()): boolean {
  const isThere = existsSync(path);
  rmSync(path, { force: true });
  return isThere;
}
