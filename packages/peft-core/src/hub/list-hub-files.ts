import type { HubConnection } from './hub-connection.ts';
import type { HubFile } from './hub-files.ts';

/** All files of a repository of the Hub at a commit, with their sizes and digests. */
export async function listHubFiles(
  hub: HubConnection,
  repo: { type: 'model' | 'dataset'; name: string },
  commit: string,
): Promise<HubFile[]> {
  // Imported on demand: it is large, and most files are on disk already.
  const { listFiles: list } = await import('@huggingface/hub');
  const files: HubFile[] = [];
  const query = {
    repo,
    revision: commit,
    recursive: true,
    hubUrl: hub.endpoint,
    fetch: hub.fetch,
  };
  for await (const { type, path: file, size, oid, lfs } of list(query)) {
    if (type !== 'file') continue;
    if (lfs) files.push({ path: file, size: lfs.size, digest: { kind: 'sha256', hex: lfs.oid } });
    else if (oid) files.push({ path: file, size, digest: { kind: 'git', hex: oid } });
  }
  return files;
}
