import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where this user's Grafts keep what is made once: TensorFlow, Python environments, base models. */
export function cacheFolder(): string {
  return (
    process.env.GRAFT_CACHE_DIR || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'graft')
  );
}
