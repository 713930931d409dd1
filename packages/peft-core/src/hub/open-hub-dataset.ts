import { createHash, type Hash } from 'node:crypto';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError } from '../errors.ts';
import { tarBytes } from '../examples/containers/tar.ts';
import { findHubFiles, type HubDataFile } from './find-hub-files.ts';
import { connectToHub, type HubConnection, reasonOf } from './hub-connection.ts';
import type { HubFile } from './hub-files.ts';
import type { HubDataset } from './parse-hub-dataset.ts';
import { archiveOf } from './shards.ts';

export interface OpenedHubDataset {
  /** The data set, the split or the requested file, and the kind of file: `org--name-train.parquet`. */
  filename: string;
  /** Bytes of the file as the Hub lists it, or of an archive of all shards. */
  bytes: number;
  shards: number;
  /**
   * The content as it arrives; only once, and only if the loop ends without an error has it the Hub's length and digest. Throws GraftError
   * `data_set_corrupt`, `data_set_unavailable`.
   */
  read(): AsyncGenerator<Buffer>;
}

interface OpenHubOptions {
  /** Default: Hugging Face's. */
  endpoint: string | undefined;
  signal: AbortSignal;
  /** Milliseconds without a byte after which a transfer fails. */
  idleMs: number;
  /** Milliseconds before the first retry of a transfer that was cut off, doubled for each further one. */
  retryDelay?: number;
}

/** The most files of a data set that are listed, and bytes of one answer of the Hub's API. */
const maxFiles = 20_000;
const maxAnswerBytes = 16 * 2 ** 20;
/** Milliseconds for one answer of the Hub's API. */
const answerMs = 60_000;
/** The most requests for the content, each of which continues where the one before was cut off; and those without any byte. */
const maxRequests = 10;
const maxFailures = 3;

/**
 * Finds a split's data file for others: without any token, so that they see only what is public, and with bounds for each answer.
 * Throws GraftError `data_set_not_found`, `data_set_unavailable`, and the reason of `signal`.
 */
export async function openHubDataset(
  dataset: HubDataset,
  options: OpenHubOptions,
): Promise<OpenedHubDataset> {
  const { name, split, config, file: wanted } = dataset;
  const hub = connectToHub(`datasets/${name}`, { HF_ENDPOINT: options.endpoint });
  const found = await findHubFiles(dataset, bounded(hub, options.signal), { maxFiles })
    .then(({ files }) => files.map((each) => checked(each)))
    .catch((error: unknown) => {
      throw publicFault(error, name, options.signal);
    });
  const [{ file }] = found as [HubDataFile];
  const isWhole = found.length === 1;
  const base = path.posix.basename(file.path);
  const kind = isWhole ? /(\.[a-z]+)(\.gz|\.zst)?$/.exec(base)![0] : '.tar';
  const part = `${config === null ? '' : `${config}-`}${split}${kind}`;
  const shards = found.map((each) => ({
    file: each.file,
    content: () => contentOf(each, hub, name, options),
  }));
  return {
    filename: `${name.replace('/', '--')}-${wanted === null ? part : base}`,
    bytes: isWhole ? file.size : tarBytes(found.map((each) => each.file.size)),
    shards: found.length,
    read: () => (isWhole ? shards[0]!.content() : archiveOf(shards)),
  };
}

/** The API of a Hub whose answers are JSON of this Hub itself, with an end. */
function bounded({ endpoint, fetch }: HubConnection, signal: AbortSignal): HubConnection {
  const { origin } = new URL(endpoint);
  return {
    endpoint,
    async fetch(url, init = {}) {
      const { origin: to } = new URL(url instanceof Request ? url.url : url);
      if (to !== origin) throw unavailable('the list of files continues on another server');
      const response = await fetch(url, {
        ...init,
        signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
      });
      const pieces: Uint8Array[] = [];
      let bytes = 0;
      for await (const piece of response.body ?? []) {
        bytes += piece.byteLength;
        if (bytes > maxAnswerBytes) throw unavailable(`an answer is longer than ${maxAnswerBytes} bytes`);
        pieces.push(piece);
      }
      const link = response.headers.get('link');
      return new Response(Buffer.concat(pieces), { headers: link === null ? {} : { link } });
    },
  };
}

/** Throws if the list has no usable size and digest of the file. */
function checked(found: HubDataFile): HubDataFile {
  const { size, digest } = found.file;
  const isFit = Number.isSafeInteger(size) && size >= 0;
  if (!isFit || !(digest.kind === 'sha256' ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(digest.hex))
    throw unavailable('the list of files has no size and digest of the file');
  return found;
}

async function* contentOf(
  { file, url }: HubDataFile,
  hub: HubConnection,
  name: string,
  { signal, idleMs, retryDelay = 1000 }: OpenHubOptions,
): AsyncGenerator<Buffer> {
  const hash = digestOf(file);
  const silence = new AbortController();
  let received = 0;
  let failures = 0;
  for (let requests = 1; received < file.size; requests++) {
    const before = received;
    try {
      for await (const piece of piecesFrom(received, url, hub, { signal, silence, idleMs })) {
        received += piece.length;
        if (received > file.size)
          throw corrupt(file, `it is longer than the ${file.size} bytes that the Hub lists`);
        hash.update(piece);
        yield piece;
      }
      if (received < file.size)
        throw unavailable(`the transfer ended after ${received} of ${file.size} bytes`);
    } catch (error) {
      const fault = publicFault(error, name, signal);
      failures = received > before ? 0 : failures + 1;
      const isPassing =
        !silence.signal.aborted && fault instanceof GraftError && fault.code === 'data_set_unavailable';
      if (!isPassing || failures >= maxFailures || requests >= maxRequests) throw fault;
      await sleep(retryDelay * 2 ** failures, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
  if (hash.digest('hex') !== file.digest.hex)
    throw corrupt(file, 'its digest is not the one that the Hub lists');
}

/** Sends one request for all bytes from `start` on. Aborts `silence` after `idleMs` without a byte. */
async function* piecesFrom(
  start: number,
  url: string,
  hub: HubConnection,
  { signal, silence, idleMs }: Pick<OpenHubOptions, 'signal' | 'idleMs'> & { silence: AbortController },
): AsyncGenerator<Buffer> {
  const response = await hub.fetch(url, {
    signal: AbortSignal.any([signal, silence.signal]),
    headers: { 'accept-encoding': 'identity', ...(start > 0 && { range: `bytes=${start}-` }) },
  });
  const reader = response.body?.getReader();
  try {
    const isRest = response.headers.get('content-range')?.startsWith(`bytes ${start}-`);
    if (start > 0 && !(response.status === 206 && isRest))
      throw unavailable(`the transfer was cut off after ${start} bytes and cannot be continued`);
    while (reader) {
      // The time that the reader of the pieces takes does not count.
      const timer = setTimeout(() => silence.abort(), idleMs);
      const { done, value } = await reader
        .read()
        .catch((cause: unknown) => {
          if (silence.signal.aborted)
            throw unavailable(`the transfer was silent for ${idleMs / 1000} seconds`, cause);
          throw unavailable(`the transfer was cut off: ${reasonOf(cause)}`, cause);
        })
        .finally(() => clearTimeout(timer));
      if (done) return;
      yield Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
  } finally {
    await reader?.cancel().catch(() => {});
  }
}

function digestOf({ size, digest }: HubFile): Hash {
  // Git's blob id is the SHA-1 of this header and the content.
  return digest.kind === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

function corrupt({ path: file }: HubFile, what: string): GraftError {
  return new GraftError('data_set_corrupt', `${file} arrived from the Hub damaged: ${what}.`);
}

function unavailable(what: string, cause?: unknown): GraftError {
  return new GraftError('data_set_unavailable', `The data set cannot be fetched from the Hub: ${what}.`, {
    fault: 'system',
    cause,
  });
}

/** An error as others may see it: the address of the Hub concerns only the operator. */
function publicFault(error: unknown, name: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  const code = error instanceof GraftError ? error.code : null;
  if (code?.startsWith('data_set_')) return error;
  const notFound = (message: string) => new GraftError('data_set_not_found', message, { cause: error });
  if (code === 'base_model_not_found')
    return notFound(`The Hub has no public data set ${name}, or no such revision of it.`);
  if (code === 'base_model_access_denied')
    return notFound(
      `The data set ${name} is not public, or its terms must be accepted: download it with your own account, and upload the file.`,
    );
  return unavailable(`the Hub does not answer the request for ${name}`, error);
}
