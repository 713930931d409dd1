import { GraftError } from '../errors.ts';
import type { HubConnection } from './hub-connection.ts';
import type { HubFile } from './hub-files.ts';

/**
 * All files of a repository of the Hub at a commit, with their sizes and digests. Throws GraftError `data_set_not_found` if there are more
 * than `most`.
 */
export async function listHubFiles(
  hub: HubConnection,
  repo: { type: 'model' | 'dataset'; name: string },
  commit: string,
  most = Number.POSITIVE_INFINITY,
): Promise<HubFile[]> {
  // Imported on demand: it is large, and most files are on disk already.
  const { listFiles: list } = await import('@huggingface/hub');
  const files: HubFile[] = [];
  let listed = 0;
  const query = { repo, revision: commit, recursive: true, hubUrl: hub.endpoint, fetch: hub.fetch };
  for await (const { type, path: file, size, oid, lfs } of list(query)) {
    if (++listed > most)
      throw new GraftError(
        'data_set_not_found',
        `${repo.name} has more than ${most} files, the most that are searched`,
      );
    if (type !== 'file') continue;
    if (lfs) files.push({ path: file, size: lfs.size, digest: { kind: 'sha256', hex: lfs.oid } });
    else if (oid) files.push({ path: file, size, digest: { kind: 'git', hex: oid } });
  }
  return files;
}
