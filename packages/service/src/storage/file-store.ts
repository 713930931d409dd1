import type { Readable } from 'node:stream';

/** What a file's row says of its bytes. */
export interface StoredFile {
  /** Key in the store. */
  path: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
  /** Set: they were found to be others, so they are read through once more before they are trusted. */
  corruptAt?: Date | null;
}

/** Part of a file. `end` is inclusive, as in `fs.createReadStream`. */
export interface ByteSpan {
  start?: number;
  end?: number;
}

/** Uploaded files. Keys, not machine paths, go into the database. All methods throw GraftError `storage_away`, `storage_full`. */
export interface FileStore {
  /**
   * Stores a stream under a new key: it is there whole and durable, or not at all. Whatever goes wrong (the limit, a cut-off
   * stream, `inspect` throwing, a full disk), nothing is left behind. `inspect` sees every chunk in order before it
   * is accepted. Throws GraftError `file_too_large` past `limit` bytes.
   */
  receive(
    stream: Readable | AsyncIterable<Buffer>,
    options: { limit: number; inspect?: ((chunk: Buffer) => void) | undefined },
  ): Promise<{ path: string; bytes: number; sha256: string }>;
  /**
   * The bytes, once they are known to have their digest. A stream of the whole is digested once more on its way and breaks
   * before its end when it differs. Throws GraftError `file_missing`, `file_corrupt`.
   */
  open(file: StoredFile, range?: ByteSpan): Promise<Readable>;
  /**
   * Absolute path on this machine of bytes that have their digest; valid until the job is over. Throws GraftError
   * `file_missing`, `file_corrupt`.
   */
  localPath(file: StoredFile, jobId: string): Promise<string>;
  /**
   * The same for whoever reads them at once: the path is valid for some minutes, and leaves nothing behind. Throws as `localPath`.
   */
  pathForNow(file: StoredFile): Promise<string>;
  /** Reads the stored bytes afresh, at most `bytesPerSecond`. Throws GraftError `file_missing`, `file_corrupt`. */
  verify(file: StoredFile, options: { bytesPerSecond: number; signal?: AbortSignal }): Promise<void>;
  /** Silent when it is gone already. */
  remove(path: string): Promise<void>;
  /** Keys stored, with the time each was made. */
  list(): AsyncIterable<{ path: string; storedAt: Date }>;
}
