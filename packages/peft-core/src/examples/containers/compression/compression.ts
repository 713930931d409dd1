/** Decompresses bytes that arrive in order, split anywhere. */
export interface Decompressor {
  /** Resolves when everything that the bytes decompress to was passed on. Throws GraftError for damaged data. */
  write(chunk: Uint8Array): Promise<void>;
  /** Throws GraftError if the data is cut off. */
  end(): Promise<void>;
  /** Frees the memory of an unfinished file. */
  close(): void;
}

/** A compression of whole files. `read-rows.ts` lists all. */
export interface Compression {
  name: string;
  title: string;
  magic: readonly number[];
  /** `onData` receives what the file contains, in pieces; if it throws, so does `write`. */
  open(onData: (piece: Uint8Array) => void): Decompressor;
}
