import { homedir } from 'node:os';
import path from 'node:path';

/** Returns the absolute folder where the service, the commands and the bootstrap cache models, shared by every Graft of this user. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return path.resolve(
    env.GRAFT_CACHE_DIR || path.join(env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'graft'),
  );
}

/** Returns the folder that caches the digests of large models, so that each is hashed only once. */
export function digestFolder(cacheDir: string): string {
  return path.join(cacheDir, 'digests');
}
