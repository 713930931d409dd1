import { GraftApiError, GraftConnectionError, GraftDigestError } from './errors.ts';
import { createSha256, requireNodeModule, type Sha256, streamOf, toHex } from './platform.ts';
import { pause, retryDelay } from './retry.ts';
import type { OpenResponse, Transport } from './transport.ts';

export interface DownloadOptions {
  onProgress?: (progress: { received: number; total: number | null }) => void;
  signal?: AbortSignal;
}

/** Maximum number of consecutive connections that break without a new byte. */
const MOST_FRUITLESS_CONNECTIONS = 5;

/**
 * Download of an archive. After a broken connection it resumes with Range; If-Range ensures that the archive is the same. At the end
 * compares the SHA-256 with the one that the server announced, so a stream that ends without an error is complete and correct.
 */
export class AdapterDownload {
  readonly #transport: Transport;
  readonly #path: string;
  readonly #options: DownloadOptions;

  constructor(transport: Transport, path: string, options: DownloadOptions) {
    this.#transport = transport;
    this.#path = path;
    this.#options = options;
  }

  /** Yields the archive's bytes, once. Skips the first `offset` bytes, which `hash` already includes. */
  async *bytes(offset = 0, hash: Sha256 = createSha256()): AsyncGenerator<Uint8Array, void, void> {
    let received = offset;
    let etag: string | null = null;
    for (let fruitless = 0; ; fruitless++) {
      try {
        const response = await this.#open(received, etag);
        if (response.status === 416) {
          await response.text();
          throw new GraftDigestError(`The archive on the server has no ${received} bytes.`);
        }
        if (etag !== null && response.headers.get('etag') !== etag) {
          throw new GraftDigestError('The archive on the server changed during the download.');
        }
        etag = response.headers.get('etag') ?? etag;
        // A server without Range support sends everything again: skip the bytes already received.
        let skip = response.status === 206 ? 0 : received;
        const total = totalBytes(response, received);
        this.#options.onProgress?.({ received, total });
        for await (const whole of response.bytes()) {
          const chunk = whole.subarray(Math.min(skip, whole.byteLength));
          skip -= whole.byteLength - chunk.byteLength;
          if (chunk.byteLength === 0) continue;
          hash.update(chunk);
          received += chunk.byteLength;
          fruitless = 0;
          this.#options.onProgress?.({ received, total });
          yield chunk;
        }
        if (total !== null && received < total) throw new GraftConnectionError('The download ended early.');
        await compare(response, hash);
        return;
      } catch (error) {
        this.#options.signal?.throwIfAborted();
        if (!(error instanceof GraftConnectionError) || fruitless >= MOST_FRUITLESS_CONNECTIONS) throw error;
        await pause(retryDelay(fruitless, null) ?? 0, this.#options.signal);
      }
    }
  }

  /** Returns the bytes as a web stream. */
  stream(): ReadableStream<Uint8Array> {
    return streamOf(this.bytes());
  }

  /**
   * Writes the archive to a file (Node). Resumes from `<path>.part` if a call was interrupted; creates `path` only after the digest was
   * verified.
   */
  async toFile(path: string): Promise<{ path: string; bytes: number }> {
    const fs = requireNodeModule('node:fs', 'Downloading to a file');
    const part = `${path}.part`;
    for (;;) {
      const hash = createSha256();
      let offset = 0;
      if (fs.existsSync(part)) {
        for await (const chunk of fs.createReadStream(part)) {
          hash.update(chunk);
          offset += chunk.byteLength;
        }
      }
      const file = await fs.promises.open(part, 'a');
      let bytes = offset;
      try {
        for await (const chunk of this.bytes(offset, hash)) {
          await file.writeFile(chunk);
          bytes += chunk.byteLength;
        }
        await file.sync();
      } catch (error) {
        if (!(error instanceof GraftDigestError)) throw error;
        await fs.promises.rm(part, { force: true });
        // The old part may belong to another archive: start again, once.
        if (offset > 0) continue;
        throw error;
      } finally {
        await file.close();
      }
      await fs.promises.rename(part, path);
      return { path, bytes };
    }
  }

  #open(offset: number, etag: string | null): Promise<OpenResponse> {
    const range: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
    if (offset > 0 && etag !== null) range['if-range'] = etag;
    return this.#transport.open({
      method: 'GET',
      path: this.#path,
      // Without compression, so that the range counts bytes of the archive.
      headers: { accept: '*/*', 'accept-encoding': 'identity', ...range },
      accept: [416],
      signal: this.#options.signal,
    });
  }
}

/** Returns the size of the whole archive, from Content-Range for a partial response, else from Content-Length. */
function totalBytes(response: OpenResponse, offset: number): number | null {
  const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  if (response.status === 206) {
    if (range === null || Number(range[1]) !== offset) {
      throw new GraftApiError({
        status: response.status,
        requestId: response.requestId,
        message: `The server sent another range than the requested one (bytes=${offset}-).`,
      });
    }
    return Number(range[2]);
  }
  const length = response.headers.get('content-length');
  return length === null ? null : Number(length);
}

async function compare(response: OpenResponse, hash: Sha256): Promise<void> {
  const actual = await hash.digest();
  const expected = announcedDigest(response.headers);
  if (expected === null) {
    throw new GraftApiError({
      status: response.status,
      requestId: response.requestId,
      message: 'The server announced no SHA-256 for the download, so it cannot be checked.',
    });
  }
  if (expected !== actual) {
    throw new GraftDigestError(
      `The download is damaged: its SHA-256 is ${actual}, the server announced ${expected}.`,
    );
  }
}

/** Parses `Repr-Digest: sha-256=:<base64>:` (RFC 9530), the digest of the whole archive, also in a partial response. */
function announcedDigest(headers: Headers): string | null {
  const found = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):/.exec(headers.get('repr-digest') ?? '');
  if (found === null) return null;
  return toHex(Uint8Array.from(atob(found[1] as string), (character) => character.charCodeAt(0)));
}
