import path from 'node:path';

/** Layout of the data folder. All paths are below `root`. */
export function dataFolder(root: string) {
  const files = path.join(root, 'files');
  const artifacts = path.join(root, 'artifacts');
  const staging = path.join(root, 'staging');
  const checkpoints = path.join(root, 'checkpoints');
  const exports = path.join(root, 'exports');
  const exportStaging = path.join(root, 'export-staging');
  return {
    /** The embedded Postgres; `postgres/cluster.ts` defines the layout below. */
    postgres: path.join(root, 'postgres'),
    /** Pepper and internal token, unless the environment sets them. */
    secrets: path.join(root, 'secrets'),
    /** Identifies the installation to which the folder belongs. */
    mark: path.join(root, 'data-folder-id'),
    /** Log files of the processes that `npm start` runs. */
    logs: path.join(root, 'logs'),
    /** Files that processes write to test whether the folder is writable. */
    probes: path.join(root, 'probes'),
    /** A folder for each worker: the part of the data folder that its sandboxed child processes see. */
    slots: path.join(root, 'slots'),
    files,
    incoming: path.join(files, 'incoming'),
    /** An upload, by its key in the file store. One folder per two-letter prefix, so that none grows too large. */
    file: (key: string) => path.join(files, key.slice(0, 2), key),
    artifacts,
    /** The files of an adapter version, by its name in the artifact store, which starts with its digest. */
    artifact: (name: string) => path.join(artifacts, name.slice(0, 2), name),
    /** As `artifacts`: versions before exports remove what they do not know from that folder. */
    exports,
    /** The files of an export, by its name in the store of exports. */
    export: (name: string) => path.join(exports, name.slice(0, 2), name),
    /** A folder for each export that is being written. */
    exportStaging,
    /** As `staged`, for an export. */
    exportStaged: (exportId: string, epoch: number, token: string | null) =>
      path.join(exportStaging, exportId, String(epoch), token ?? ''),
    /** A folder for each job. */
    staging,
    /** Unpublished output of one attempt: specific to its lease, so that no two attempts write to the same folder. */
    staged: (jobId: string, epoch: number, token: string | null) =>
      path.join(staging, jobId, String(epoch), token ?? ''),
    /** A folder for each job. */
    checkpoints,
    /** The checkpoints of a job, from all its attempts. */
    checkpointsOf: (jobId: string) => path.join(checkpoints, jobId),
    /** Local cache of a remote store. */
    cache: path.join(root, 'cache'),
  };
}

/** Returns the absolute folder of a checkpoint key: `checkpoints/<jobId>`, `checkpoints/<jobId>/<epoch>/<token>` or one below. */
export function checkpointFolder(root: string, key: string): string {
  if (!/^checkpoints(?:\/[\w-]+){1,4}$/.test(key)) throw new Error('not the key of a checkpoint');
  return path.join(root, key);
}
