import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { GraftError } from '@graft/peft-core/config';
import { storageFull, storageUnavailable } from '../storage-fault.ts';

/** Location of the objects: `s3://bucket/prefix`, on AWS or behind `endpoint`. Credentials come from the usual AWS variables. */
export interface S3Place {
  bucket: string;
  /** Empty, or ends with `/`. */
  prefix: string;
  endpoint: string | undefined;
}

export interface StoredObject {
  key: string;
  storedAt: Date;
  bytes: number;
  /** Changes with the content. */
  etag: string;
}

/** Each upload holds at most `partsAtOnce` parts of `partBytes` in memory. */
const partBytes = 8 * 2 ** 20;
const partsAtOnce = 2;
const connectMs = 5_000;
/** Milliseconds without a byte from the server. */
const silenceMs = 60_000;

const fullNames = new Set([
  'InsufficientStorage',
  'InsufficientCapacity',
  'QuotaExceeded',
  'XMinioStorageFull',
]);
const missingNames = new Set(['NoSuchKey', 'NotFound', 'NoSuchUpload']);

/**
 * The objects under a prefix of a bucket. Objects are stored completely or not at all. Throws GraftError `storage_away`, `storage_full`.
 */
export class S3Objects {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor({ bucket, prefix, endpoint }: S3Place, { silence = silenceMs } = {}) {
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#client = new S3Client({
      region: process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION || 'us-east-1',
      // Self-hosted servers rarely have a DNS name for each bucket.
      ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
      maxAttempts: 3,
      requestHandler: {
        connectionTimeout: connectMs,
        requestTimeout: silence,
        throwOnRequestTimeout: true,
        socketTimeout: silence,
      },
    });
  }

  /** Stores the bytes of `source`, in parts if there are many. If `source` throws, rethrows the error and stores nothing. */
  async put(key: string, source: AsyncIterable<Buffer>): Promise<void> {
    let fault: { reason: unknown } | undefined;
    async function* watched(): AsyncGenerator<Buffer> {
      try {
        yield* source;
      } catch (reason) {
        fault = { reason };
        throw reason;
      }
    }
    const body = Readable.from(watched(), { objectMode: false });
    const upload = new Upload({
      client: this.#client,
      params: { ...this.#at(key), Body: body },
      partSize: partBytes,
      queueSize: partsAtOnce,
    });
    try {
      await upload.done();
    } catch (error) {
      throw fault ? fault.reason : toS3Fault(error);
    } finally {
      // A failed upload has not read the source to its end.
      body.destroy();
    }
  }

  /**
   * Returns the bytes of an object. Null: it does not exist. With `rest` returns the bytes from `rest.from` on. Throws `storage_away` if
   * the response breaks off, or if the object's ETag is no longer `rest.etag`.
   */
  async get(key: string, rest?: { from: number; etag: string }): Promise<AsyncIterable<Buffer> | null> {
    const range = rest && { Range: `bytes=${rest.from}-`, IfMatch: rest.etag };
    const answer = await this.#unlessMissing(() =>
      this.#client.send(new GetObjectCommand({ ...this.#at(key), ...range })),
    );
    if (!answer) return null;
    const body = answer.Body as Readable;
    return (async function* () {
      try {
        yield* body as AsyncIterable<Buffer>;
      } catch (error) {
        throw toS3Fault(error);
      } finally {
        body.destroy();
      }
    })();
  }

  /** Does nothing if the object does not exist. */
  async remove(key: string): Promise<void> {
    await this.#unlessMissing(() => this.#client.send(new DeleteObjectCommand(this.#at(key))));
  }

  async removeUnder(prefix: string): Promise<void> {
    for await (const { key } of this.list(prefix)) await this.remove(key);
  }

  /** Lists objects ordered by key. */
  async *list(prefix: string): AsyncGenerator<StoredObject> {
    for await (const { Contents } of this.#pages(prefix)) {
      for (const { Key, LastModified, Size, ETag } of Contents ?? []) {
        if (!Key) continue;
        const key = Key.slice(this.#prefix.length);
        yield { key, storedAt: LastModified ?? new Date(), bytes: Size ?? 0, etag: ETag ?? '' };
      }
    }
  }

  /** Lists the names directly under `prefix` that contain other keys, like folders. */
  async *folders(prefix: string): AsyncGenerator<string> {
    for await (const { CommonPrefixes } of this.#pages(prefix, '/')) {
      for (const { Prefix } of CommonPrefixes ?? []) {
        if (Prefix) yield Prefix.slice(this.#prefix.length + prefix.length, -1);
      }
    }
  }

  /** Aborts multipart uploads that started before `before`, whose senders are gone. Returns their number. */
  async abandonUploads(before: Date): Promise<number> {
    const { Uploads } = await this.#ask(() =>
      this.#client.send(new ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: this.#prefix })),
    );
    const old = (Uploads ?? []).filter(({ Initiated }) => Initiated && Initiated < before);
    for (const { Key, UploadId } of old) {
      await this.#unlessMissing(() =>
        this.#client.send(new AbortMultipartUploadCommand({ Bucket: this.#bucket, Key, UploadId })),
      );
    }
    return old.length;
  }

  close(): void {
    this.#client.destroy();
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  async *#pages(prefix: string, delimiter?: string) {
    let token: string | undefined;
    do {
      const page = await this.#ask(() =>
        this.#client.send(
          new ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix: this.#prefix + prefix,
            Delimiter: delimiter,
            ContinuationToken: token,
          }),
        ),
      );
      yield page;
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async #ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toS3Fault(error);
    }
  }

  async #unlessMissing<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (missingNames.has((error as Error).name)) return null;
      throw toS3Fault(error);
    }
  }
}

/** Converts an error of the server, which its operator must fix: the store is full or unavailable. */
function toS3Fault(error: unknown): unknown {
  if (error instanceof GraftError) return error;
  const { name, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  return fullNames.has(name) || $metadata?.httpStatusCode === 507
    ? storageFull(error)
    : storageUnavailable(error);
}
