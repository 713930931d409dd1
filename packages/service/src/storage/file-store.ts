import type { Readable } from 'node:stream';

export interface StoredFile {
  /** Key in the store. */
  path: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
  /** Set if the bytes were found not to match: they are verified again before use. */
  corruptAt?: Date | null;
}

/** Part of a file. `end` is inclusive, as in `fs.createReadStream`. */
export interface ByteSpan {
  start?: number;
  end?: number;
}

export interface NamedObject {
  name: string;
  storedAt: Date;
}

/** Uploaded files. The database holds keys, not paths. All methods throw GraftError `storage_away`, `storage_full`. */
export interface FileStore {
  /**
   * Stores a stream under a new key, completely and durably or not at all: after any failure (limit, broken stream, error in `inspect`,
   * full disk) nothing is left. `inspect` receives every chunk in order before it is accepted. Throws GraftError `file_too_large` beyond
   * `limit` bytes.
   */
  receive(
    stream: Readable | AsyncIterable<Buffer>,
    options: { limit: number; inspect?: ((chunk: Buffer) => void) | undefined },
  ): Promise<{ path: string; bytes: number; sha256: string }>;
  /**
   * Opens the bytes after checking their digest. A stream of the whole file is digested again on the way, and fails before its end if the
   * digest differs. Throws GraftError `file_missing`, `file_corrupt`.
   */
  open(file: StoredFile, range?: ByteSpan): Promise<Readable>;
  /** Returns the absolute local path of verified bytes, valid until the job ends. Throws GraftError `file_missing`, `file_corrupt`. */
  localPath(file: StoredFile, jobId: string): Promise<string>;
  /** As `localPath`, for reading immediately: the path is valid for some minutes and needs no cleanup. */
  pathForNow(file: StoredFile): Promise<string>;
  /** Rereads and verifies the stored bytes, at most `bytesPerSecond`. Throws GraftError `file_missing`, `file_corrupt`. */
  verify(file: StoredFile, options: { bytesPerSecond: number; signal?: AbortSignal }): Promise<void>;
  /** Does nothing if the file does not exist. */
  remove(path: string): Promise<void>;
  /** Lists the stored keys with their creation times. */
  list(): AsyncIterable<NamedObject>;
}
