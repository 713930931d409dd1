import type { Readable } from 'node:stream';

/** Bytes of its own output that a child may have logged in a minute, and what a row of the log costs of them besides its text. */
const mostBytes = 64 * 1024;
const rowBytes = 256;
/** After so many nothing is read of it until the minute is over: no child of Graft writes as much. */
const mostReadBytes = 2 ** 20;
const windowMs = 60_000;

/**
 * Logs what a child writes to its standard output and error, as the text of rows: what a hostile one writes neither fills this
 * process's log nor looks like a row of it.
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
      if (now - since >= windowMs) [since, read, left] = [now, 0, mostBytes];
      read += chunk.length;
      if (read > mostReadBytes) {
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
