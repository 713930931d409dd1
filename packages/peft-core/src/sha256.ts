import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** SHA-256 of a text in UTF-8, or of bytes, in hexadecimal. */
export function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

/** SHA-256 of a file in hexadecimal. Reads at most `bytesPerSecond`, and never holds the whole file in memory. */
export async function hashFile(
  file: string,
  options: { bytesPerSecond?: number; signal?: AbortSignal } = {},
): Promise<string> {
  const { bytesPerSecond, signal } = options;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    hash.update(chunk);
    if (bytesPerSecond) await sleep((1000 * chunk.length) / bytesPerSecond, undefined, signal && { signal });
  }
  return hash.digest('hex');
}
