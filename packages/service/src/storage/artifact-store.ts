import type { Readable } from 'node:stream';

import type { ByteSpan } from './file-store.ts';

/** One file of an adapter. */
export interface AdapterFile {
  /** Relative, with forward slashes. */
  path: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

/** What `publish` answers, and the version's row says of it. */
export interface StoredArtifact {
  /** Name in the store; it begins with `digest`. */
  artifact: string;
  /** SHA-256 of the sorted lines `<sha256> <bytes> <path>\n` of the files. */
  digest: string;
  files: AdapterFile[];
  bytes: number;
}

/**
 * Trained adapters, addressed by their content and never changed. Only a row in Postgres publishes one; others are
 * collected after a day. All methods throw GraftError `storage_away`, `storage_full`.
 */
export interface ArtifactStore {
  /** An empty folder of this machine for one attempt, named by epoch and token of its lease, to write its output into. */
  stage(jobId: string, epoch: number, token?: string | null): Promise<string>;
  /** Stores a folder's files under a new name, whole and durable or not at all. The folder is gone afterwards. */
  publish(folder: string): Promise<StoredArtifact>;
  /**
   * One file's bytes, once all files are known to have the artifact's digest. A stream of the whole file is digested once
   * more on its way and breaks before its end when it differs. Throws GraftError `artifact_missing`, `artifact_corrupt`.
   */
  open(artifact: string, path: string, range?: ByteSpan): Promise<Readable>;
  /**
   * Absolute folder on this machine that holds the files, verified, for a child process that reads them at once. `afresh`:
   * read through whatever was known. Throws GraftError `artifact_missing`, `artifact_corrupt`.
   */
  localFolder(artifact: string, options?: { afresh?: boolean }): Promise<string>;
  /** Reads the stored bytes afresh, at most `bytesPerSecond`. Throws as `localFolder`. */
  verify(artifact: string, options: { bytesPerSecond: number; signal?: AbortSignal }): Promise<void>;
  /** Silent when it is gone already. */
  remove(artifact: string): Promise<void>;
  /** Names stored, with the time each was made. */
  list(): AsyncIterable<{ artifact: string; storedAt: Date }>;
}
