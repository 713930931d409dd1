import type { Readable } from 'node:stream';
import type { AdapterFile } from '../adapters/adapter.ts';

/** Trained adapters, content-addressed. Only a row in Postgres publishes one; others are collected after a day. */
export interface ArtifactStore {
  /** An empty folder for one attempt, named by its lease epoch, to write its output into. */
  stage(jobId: string, epoch: number): Promise<string>;
  /**
   * Moves a folder's files under their content address: every file fsynced, then one rename. The same content twice
   * is stored once. The staged folder is gone afterwards. Digest: SHA-256 of the sorted lines
   * `<sha256> <bytes> <path>\n`.
   */
  publish(folder: string): Promise<{ digest: string; files: AdapterFile[]; bytes: number }>;
  /** Throws GraftError `artifact_missing`. `end` is inclusive. */
  open(digest: string, path: string, range?: { start?: number; end?: number }): Promise<Readable>;
  /** Absolute folder on this machine that holds the files, for the trainer and the generator. Throws GraftError `artifact_missing`. */
  localFolder(digest: string): Promise<string>;
  /** Silent when it is gone already. */
  remove(digest: string): Promise<void>;
  /** Content addresses stored, with the time each was written. */
  list(): AsyncIterable<{ digest: string; storedAt: Date }>;
}
