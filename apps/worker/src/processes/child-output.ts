import type { Readable } from 'node:stream';

/** Bytes of its output that a child may log in a minute, and the bytes counted for each row besides its text. */
const maxBytes = 64 * 1024;
const rowBytes = 256;
/** After this many bytes the output is not read until the minute is over; no child of Graft writes as much. */
const maxReadBytes = 2 ** 20;
const windowMs = 60_000;

/**
 * Logs a child's standard output and error as text in rows, so that hostile output can neither fill this process's log nor imitate
 * its rows.
 */
export function logOutput(
  streams: readonly (Readable | null | undefined)[],
  log: (text: string) => void,
): void {
  let since = Number.NEGATIVE_INFINITY;
  let read = 0;
  let left = 0;
  for (const stream of streams) {
    stream?.on('data', (chunk: Buffer) => {
      const now = performance.now();
      if (now - since >= windowMs) [since, read, left] = [now, 0, maxBytes];
      read += chunk.length;
      if (read > maxReadBytes) {
        stream.pause();
        setTimeout(() => stream.resume(), since + windowMs - now).unref();
      }
      if (left <= 0) return;
      const text = chunk.subarray(0, left).toString().trimEnd();
      left -= chunk.length + rowBytes;
      if (text) log(text);
      if (left <= 0) log('(more, which is not logged until a minute is over)');
    });
  }
}
