import { type FileHandle, open } from 'node:fs/promises';
import { GraftError } from '../errors.ts';

/** Maximum bytes of a single read: Node refuses more than 2^31 − 1. */
const longestRead = 1 << 30;

/** A file read by position through one handle; the whole file is never in memory. */
export class RandomAccessFile {
  readonly path: string;
  /** Length in bytes when the file was opened. */
  readonly size: number;
  readonly #handle: FileHandle;

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.#handle = handle;
  }

  /** Throws GraftError `file_not_found` if there is no regular file at `path`. */
  static async open(path: string): Promise<RandomAccessFile> {
    let handle: FileHandle;
    try {
      handle = await open(path, 'r');
    } catch (cause) {
      throw new GraftError('file_not_found', `cannot open ${path}: ${(cause as Error).message}`, { cause });
    }
    const stats = await handle.stat();
    if (!stats.isFile()) {
      await handle.close();
      throw new GraftError('file_not_found', `${path} is not a file`);
    }
    return new RandomAccessFile(path, stats.size, handle);
  }

  /** Fills `target` from `position` on. Throws if the file has become shorter; never returns a partial result. */
  async readInto(target: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < target.byteLength) {
      const wanted = Math.min(longestRead, target.byteLength - done);
      const { bytesRead } = await this.#handle.read(target, done, wanted, position + done);
      if (bytesRead === 0) {
        throw new GraftError('file_truncated', `${this.path} ends at byte ${position + done}`, {
          fault: 'system',
        });
      }
      done += bytesRead;
    }
  }

  async read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    await this.readInto(bytes, position);
    return bytes;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
