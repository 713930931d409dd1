import type { Readable } from 'node:stream';

/** Uploaded files. Keys, not machine paths, go into the database. */
export interface FileStore {
  /**
   * Stores a stream: temporary file, SHA-256 on the fly, fsync, rename. Whatever goes wrong (the limit, a cut-off
   * stream, `inspect` throwing, a full disk), nothing is left behind. `inspect` sees every chunk in order before it
   * is accepted. Throws GraftError `file_too_large` past `limit` bytes.
   */
  receive(
    stream: Readable | AsyncIterable<Buffer>,
    options: { limit: number; inspect?: ((chunk: Buffer) => void) | undefined },
  ): Promise<{ path: string; bytes: number; sha256: string }>;
  /** A stream of the bytes; `start` and `end` (inclusive) as in `fs.createReadStream`. Throws GraftError `file_missing`. */
  open(path: string, range?: { start?: number; end?: number }): Promise<Readable>;
  /** Absolute path on this machine, for the trainer. */
  localPath(path: string): Promise<string>;
  /** Silent when it is gone already. */
  remove(path: string): Promise<void>;
}
