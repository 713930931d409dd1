import { createHash } from 'node:crypto';
import { pack } from 'tar-stream';

export interface TarEntry {
  path: string;
  bytes: number;
  read(start: number, end: number): AsyncIterable<Buffer>;
}

export interface Tar {
  bytes: number;
  read(start: number, end: number): AsyncIterable<Buffer>;
}

const blockSize = 512;

/**
 * Creates a tar whose bytes depend only on its entries (sorted by path, no owner, times zero). Any range can be read without the rest, and
 * the digest is always the same.
 */
export async function createTar(entries: TarEntry[]): Promise<Tar> {
  const segments: Pick<TarEntry, 'bytes' | 'read'>[] = [];
  for (const entry of entries.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    segments.push(fixed(await header(entry.path, entry.bytes)), entry);
    segments.push(fixed(Buffer.alloc((blockSize - (entry.bytes % blockSize)) % blockSize)));
  }
  segments.push(fixed(Buffer.alloc(2 * blockSize)));

  return {
    bytes: segments.reduce((sum, segment) => sum + segment.bytes, 0),
    async *read(start, end) {
      let offset = 0;
      for (const { bytes, read } of segments) {
        const from = Math.max(start - offset, 0);
        const to = Math.min(end - offset, bytes);
        if (from < to) yield* read(from, to);
        offset += bytes;
      }
    },
  };
}

/** Hexadecimal SHA-256 of the tar. Reads all of it. */
export async function tarDigest(tar: Tar): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of tar.read(0, tar.bytes)) hash.update(chunk);
  return hash.digest('hex');
}

function fixed(content: Buffer): Pick<TarEntry, 'bytes' | 'read'> {
  return {
    bytes: content.length,
    async *read(start, end) {
      yield content.subarray(start, end);
    },
  };
}

/** The header blocks of one entry, as tar-stream writes them before it waits for the content. */
async function header(name: string, size: number): Promise<Buffer> {
  const packer = pack();
  packer.entry({ name, size, mode: 0o644, mtime: new Date(0), type: 'file' }, () => {});
  try {
    return await new Promise((resolve, reject) => {
      packer.once('error', reject);
      packer.once('readable', () => resolve(packer.read() as Buffer));
    });
  } finally {
    packer.destroy();
  }
}
