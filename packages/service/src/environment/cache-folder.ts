import { homedir } from 'node:os';
import path from 'node:path';

/** Absolute: where the service, the command and the bootstrap keep models; shared by every Graft of this user. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return path.resolve(
    env.GRAFT_CACHE_DIR || path.join(env.XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'graft'),
  );
}

/** Where the digests of large models are kept, so that each is hashed once. */
export function digestFolder(cacheDir: string): string {
  return path.join(cacheDir, 'digests');
}
