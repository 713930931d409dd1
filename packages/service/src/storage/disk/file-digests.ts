import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { ByteSpan } from '../file-store.ts';
import { throttled } from '../throttled.ts';

interface FileDigest {
  sha256: string;
  bytes: number;
}

const remembered = 100_000;
const tickMs = 50;
const chunkBytes = 2 ** 20;

/**
 * Caches the digests of local files. A file is read again only if its inode, length, modification time or change time differs; the change
 * time cannot be reset.
 */
export class FileDigests {
  readonly #known = new Map<string, Promise<FileDigest>>();

  /** Throws Node's error if the file does not exist. */
  async of(file: string): Promise<FileDigest> {
    const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = await stat(file, { bigint: true });
    // A second change within one tick of the file system's clock would be invisible.
    if (Date.now() - Number(ctimeMs) < tickMs) return await digestFile(file);
    const key = [dev, ino, size, mtimeNs, ctimeNs, file].join(' ');
    let digest = this.#known.get(key);
    if (!digest) {
      digest = digestFile(file);
      this.#known.set(key, digest);
      digest.catch(() => this.#known.delete(key));
      if (this.#known.size > remembered) this.#known.delete(this.#known.keys().next().value!);
    }
    return await digest;
  }
}

/** Reads a whole file in chunks of 1 MiB and digests it; with `sync` also makes it durable. */
export async function digestFile(
  file: string,
  options: { sync?: boolean; bytesPerSecond?: number; signal?: AbortSignal } = {},
): Promise<FileDigest> {
  const { sync = false, bytesPerSecond = Number.POSITIVE_INFINITY, signal } = options;
  const digest = createHash('sha256');
  let bytes = 0;
  const handle = await open(file, 'r');
  try {
    const source = handle.createReadStream({ autoClose: false, highWaterMark: chunkBytes });
    for await (const chunk of throttled(source, { bytesPerSecond, signal })) {
      signal?.throwIfAborted();
      digest.update(chunk);
      bytes += chunk.length;
    }
    if (sync) await handle.sync();
  } finally {
    await handle.close();
  }
  return { sha256: digest.digest('hex'), bytes };
}

/** Opens a stream of `file`. A stream of the whole file throws `corrupt()` instead of its last chunk if the digest differs. */
export async function readDigested(
  file: string,
  expected: FileDigest,
  range: ByteSpan | undefined,
  corrupt: () => Error,
): Promise<Readable> {
  const { start = 0, end = Number.POSITIVE_INFINITY } = range ?? {};
  const handle = await open(file, 'r');
  const source = handle.createReadStream(range ?? {});
  if (start > 0 || end < expected.bytes - 1) return source;
  const stream = Readable.from(digested(source, expected, corrupt), { objectMode: false });
  // A generator that was never started does not run its cleanup.
  return stream.once('close', () => source.destroy());
}

/** Yields the chunks of `source`, the last one only if digest and length match `expected`; otherwise throws `corrupt()`. */
export async function* digested(
  source: AsyncIterable<Buffer>,
  expected: FileDigest,
  corrupt: () => Error,
): AsyncGenerator<Buffer> {
  const digest = createHash('sha256');
  let bytes = 0;
  let last: Buffer | null = null;
  for await (const chunk of source) {
    digest.update(chunk);
    bytes += chunk.length;
    if (last) yield last;
    last = chunk;
  }
  if (bytes !== expected.bytes || digest.digest('hex') !== expected.sha256) throw corrupt();
  if (last) yield last;
}
