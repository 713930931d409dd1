import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Where this user's Grafts keep what is made once: TensorFlow, Python environments, base models. */
export function cacheFolder(env = process.env) {
  return resolve(env.GRAFT_CACHE_DIR || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'graft'));
}
