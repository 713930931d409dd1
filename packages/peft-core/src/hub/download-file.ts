import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError } from '../errors.ts';
import { fileSize } from './file-size.ts';
import { type HubConnection, reasonOf, unavailable } from './hub-connection.ts';
import type { HubFile } from './hub-files.ts';

export interface Download {
  url: string;
  /** Path of the file. Until it is complete and verified, the content is in a `.part` file beside it. */
  target: string;
  file: HubFile;
  hub: HubConnection;
  /** Called with each piece's length in bytes; negative if existing bytes must be downloaded again. */
  onBytes(bytes: number): void;
  signal?: AbortSignal | undefined;
  /** Milliseconds before the first retry, doubled for each further one. */
  retryDelay?: number;
}

/** Maximum number of consecutive failures without any byte received. */
const maxFailures = 5;
/** A transfer fails after this time without a byte. Milliseconds. */
const stallTimeout = 60_000;

/**
 * Downloads a file, continues from an earlier attempt (also of another process), and checks its length and digest.
 * Throws GraftError `base_model_corrupt` if the content differs from the Hub's listing, and the connection's errors.
 */
export async function downloadFile(download: Download): Promise<void> {
  const { target, file, onBytes } = download;
  const part = `${target}.part`;
  const resumed = (await fileSize(part)) ?? 0;
  onBytes(resumed);
  await fetchAll(download, part);
  if (!(await matches(part, file))) {
    await rm(part);
    onBytes(-file.size);
    // The bytes of an earlier attempt may be the cause, so a resumed download is tried once more from the start.
    if (resumed === 0) throw corrupt(file, 'its digest is not the one that the Hub lists');
    await fetchAll(download, part);
    if (!(await matches(part, file))) {
      await rm(part);
      throw corrupt(file, 'its digest is not the one that the Hub lists');
    }
  }
  await rename(part, target);
}

async function fetchAll(download: Download, part: string): Promise<void> {
  const { file, retryDelay = 1000, signal } = download;
  let failures = 0;
  for (;;) {
    const there = await fileSize(part);
    if (there === file.size) return;
    const before = there ?? 0;
    try {
      await fetchRest(download, part, before);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof GraftError) || error.code !== 'base_model_unavailable') throw error;
      failures = ((await fileSize(part)) ?? 0) > before ? 0 : failures + 1;
      if (failures >= maxFailures) throw error;
      await sleep(retryDelay * 2 ** failures, undefined, signal ? { signal } : {});
    }
  }
}

/** Sends one request for all bytes from `start` on and appends them to the part. */
async function fetchRest(
  { url, file, hub, onBytes, signal }: Download,
  part: string,
  start: number,
): Promise<void> {
  if (start > file.size) {
    await rm(part);
    onBytes(-start);
    return;
  }
  const stalled = new AbortController();
  const init = { signal: signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal };
  const response = await hub.fetch(
    url,
    start > 0 ? { ...init, headers: { range: `bytes=${start}-` } } : init,
  );
  const partial = response.status === 206;
  if (partial && !response.headers.get('content-range')?.startsWith(`bytes ${start}-`)) {
    throw unavailable(`the Hub sent another part of ${file.path} than requested`);
  }
  const out = await open(part, partial ? 'a' : 'w');
  // A server that does not support ranges sends the whole file.
  let size = partial ? start : 0;
  onBytes(size - start);
  let timer = setTimeout(() => stalled.abort(new Error('no data')), stallTimeout);
  try {
    for await (const chunk of response.body ?? []) {
      clearTimeout(timer);
      timer = setTimeout(() => stalled.abort(new Error('no data')), stallTimeout);
      size += chunk.byteLength;
      if (size > file.size)
        throw corrupt(file, `it is longer than the ${file.size} bytes that the Hub lists`);
      await out.writeFile(chunk);
      onBytes(chunk.byteLength);
    }
    await out.sync();
  } catch (cause) {
    if (cause instanceof GraftError) {
      await rm(part, { force: true });
      throw cause;
    }
    throw unavailable(`the transfer of ${file.path} was cut off: ${reasonOf(cause)}`, cause);
  } finally {
    clearTimeout(timer);
    await out.close();
  }
  if (size < file.size)
    throw unavailable(`the transfer of ${file.path} ended after ${size} of ${file.size} bytes`);
}

async function matches(part: string, { size, digest }: HubFile): Promise<boolean> {
  const hash = createHash(digest.kind === 'sha256' ? 'sha256' : 'sha1');
  // Git's blob id is the SHA-1 of this header and the content.
  if (digest.kind === 'git') hash.update(`blob ${size}\0`);
  for await (const chunk of createReadStream(part, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex') === digest.hex;
}

function corrupt(file: HubFile, what: string): GraftError {
  return new GraftError('base_model_corrupt', `${file.path} arrived damaged: ${what}`, {
    fault: 'system',
    param: 'model',
  });
}
