import type { Readable } from 'node:stream';

import type { ByteSpan, NamedObject } from './file-store.ts';

export interface AdapterFile {
  /** Relative, with forward slashes. */
  path: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

/** `exports`: a separate store, for adapter versions written in the formats of other programs. */
export type ArtifactKind = 'artifacts' | 'exports';

/** Result of `publish`, which the version's row records. */
export interface StoredArtifact {
  /** Name in the store; starts with `digest`. */
  artifact: string;
  /** SHA-256 of the sorted lines `<sha256> <bytes> <path>\n` of the files. */
  digest: string;
  files: AdapterFile[];
  bytes: number;
}

/**
 * Trained adapters, addressed by their content and never changed. An artifact is published by a row in Postgres; others are collected after
 * a day. All methods throw GraftError `storage_away`, `storage_full`.
 */
export interface ArtifactStore {
  /** Creates an empty local folder for the output of one attempt, named by the epoch and token of its lease. */
  stage(jobId: string, epoch: number, token?: string | null): Promise<string>;
  /** Stores a folder's files under a new name, completely and durably or not at all, and removes the folder. */
  publish(folder: string): Promise<StoredArtifact>;
  /**
   * Opens one file, after checking that all files match the artifact's digest. A stream of the whole file is digested again on the way, and
   * fails before its end if the digest differs. Throws GraftError `artifact_missing`, `artifact_corrupt`.
   */
  open(artifact: string, path: string, range?: ByteSpan): Promise<Readable>;
  /**
   * Returns the absolute path of a local folder with the verified files, for a child process that reads them immediately. `afresh` rereads
   * them even if they were verified before. Throws GraftError `artifact_missing`, `artifact_corrupt`.
   */
  localFolder(artifact: string, options?: { afresh?: boolean }): Promise<string>;
  /** Rereads and verifies the stored bytes, at most `bytesPerSecond`. Throws the errors of `localFolder`. */
  verify(artifact: string, options: { bytesPerSecond: number; signal?: AbortSignal }): Promise<void>;
  /** Does nothing if the artifact does not exist. */
  remove(artifact: string): Promise<void>;
  /** Lists the stored names with their creation times. */
  list(): AsyncIterable<NamedObject>;
}
