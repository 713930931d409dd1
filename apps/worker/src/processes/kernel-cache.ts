import { createHash } from 'node:crypto';
import { lchownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildUser } from './child-user.ts';

/**
 * The folder, which is made, in which CUDA keeps what it has compiled for children of this user that compute for this team: by
 * what lies there another team's child would run code. Throws where it cannot be made.
 */
export function kernelCacheFolder(cacheDir: string, user: ChildUser | null, team: string | null): string {
  const all = join(cacheDir, 'cuda');
  mkdirSync(all, { recursive: true, mode: 0o711 });
  const name = createHash('sha256')
    .update(team ?? '')
    .digest('hex')
    .slice(0, 16);
  const folder = join(all, `${user?.uid ?? 'worker'}-${name}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (user) lchownSync(folder, user.uid, user.gid);
  return folder;
}
