import type { Compression } from './compression.ts';
import { gzip } from './gzip.ts';
import { zstd } from './zstd.ts';

/** All compressions of whole files. */
export const compressions: readonly Compression[] = [gzip, zstd];

/** The compression of a file that begins with `bytes`. */
export function compressionOf(bytes: Uint8Array): Compression | null {
  return compressions.find(({ magic }) => magic.every((byte, i) => bytes[i] === byte)) ?? null;
}
