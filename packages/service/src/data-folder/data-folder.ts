import path from 'node:path';

/** The one place that knows how the data folder is laid out. All paths are below `root`. */
export function dataFolder(root: string) {
  const files = path.join(root, 'files');
  const artifacts = path.join(root, 'artifacts');
  const staging = path.join(root, 'staging');
  const checkpoints = path.join(root, 'checkpoints');
  return {
    /** The embedded Postgres; `postgres/cluster.ts` knows what lies in it. */
    postgres: path.join(root, 'postgres'),
    /** Pepper and internal token, where the environment gives none. */
    secrets: path.join(root, 'secrets'),
    /** Says which installation's folder it is. */
    mark: path.join(root, 'data-folder-id'),
    /** Lines of log of what `npm start` runs. */
    logs: path.join(root, 'logs'),
    /** What processes write to see whether they can. */
    probes: path.join(root, 'probes'),
    /** A folder for each worker: what its confined children see of the data folder. */
    slots: path.join(root, 'slots'),
    files,
    /** Uploads that are not complete. */
    incoming: path.join(files, 'incoming'),
    /** An upload, by its key in the file store. A folder for each first two letters, so that none grows too large. */
    file: (key: string) => path.join(files, key.slice(0, 2), key),
    artifacts,
    /** The files of an adapter version, by its name in the artifact store, which begins with its digest. */
    artifact: (name: string) => path.join(artifacts, name.slice(0, 2), name),
    /** A folder for each job. */
    staging,
    /** What one attempt has trained and not published: of its lease, so that no two ever write the same. */
    staged: (jobId: string, epoch: number, token: string | null) =>
      path.join(staging, jobId, String(epoch), token ?? ''),
    /** A folder for each job. */
    checkpoints,
    /** The checkpoints of a job, across its attempts. */
    checkpointsOf: (jobId: string) => path.join(checkpoints, jobId),
    /** What this machine has fetched of a store that lies elsewhere. */
    cache: path.join(root, 'cache'),
  };
}

/** Absolute folder of a checkpoint's key: `checkpoints/<jobId>`, `checkpoints/<jobId>/<epoch>/<token>` or one below. */
export function checkpointFolder(root: string, key: string): string {
  if (!/^checkpoints(?:\/[\w-]+){1,4}$/.test(key)) throw new Error('not the key of a checkpoint');
  return path.join(root, key);
}
