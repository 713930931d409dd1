import { createHash } from 'node:crypto';
import { GraftError } from '@graft/peft-core/config';
import type { FileStore } from '@graft/service/storage';
import type { IncomingBytes } from '@graft/service/teams';
import type { Upload } from '@graft/service/uploads';
import { maxPartBytes } from '@graft/wire/lists';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../api-error.ts';
import { missingParameter, readMultipart, unknownParameter } from './read-multipart.ts';

interface ReceivedPart {
  /** Key in the store, without a row yet; null: not stored for lack of space. */
  path: string | null;
  bytes: number;
  sha256: string;
}

/**
 * Streams the field `data` of a multipart body into the store. An aborted upload leaves nothing behind. If `incoming` lacks space,
 * drops what was stored and only digests the rest: a part that was sent before may be sent again even without space. Throws ApiError, such
 * as `part_too_large`, or GraftError.
 */
export async function receivePart(
  request: FastifyRequest,
  files: FileStore,
  upload: Upload,
  incoming: IncomingBytes,
  { idleMs }: { idleMs: number },
): Promise<ReceivedPart> {
  const limit = Math.min(maxPartBytes, upload.bytes);
  return await readMultipart(request, { idleMs, file: 'data' }, async (body) => {
    let received: ReceivedPart | null = null;
    try {
      for await (const part of body.parts()) {
        if (part.fieldname !== 'data') throw unknownParameter(part.fieldname);
        if (part.type !== 'file') {
          throw new ApiError('invalid_value', "Invalid 'data': send it as a file, with a filename.", {
            param: 'data',
          });
        }
        received = await storeOrDigest(body.bytes(part), files, incoming, limit).catch((error: unknown) => {
          throw isTooLarge(error) ? tooLarge(limit, upload) : error;
        });
      }
      if (received === null) throw missingParameter('data');
      if (received.bytes === 0) {
        throw new ApiError('invalid_value', "Invalid 'data': it is empty.", { param: 'data' });
      }
      return received;
    } catch (error) {
      if (received?.path) await files.remove(received.path).catch(() => {});
      throw error;
    }
  });
}

class NoPlace extends Error {}

async function storeOrDigest(
  stream: AsyncIterable<Buffer>,
  files: FileStore,
  incoming: IncomingBytes,
  limit: number,
): Promise<ReceivedPart> {
  const digest = createHash('sha256');
  let bytes = 0;
  const pieces = stream[Symbol.asyncIterator]();
  const next = async (): Promise<Buffer | null> => {
    const { done, value } = await pieces.next();
    if (done) return null;
    digest.update(value);
    bytes += value.length;
    return value;
  };
  async function* withPlace(): AsyncGenerator<Buffer> {
    for (let piece = await next(); piece !== null; piece = await next()) {
      // The store rejects a part that is too large.
      if (bytes <= limit && !(await incoming.add(piece.length))) throw new NoPlace();
      yield piece;
    }
  }
  try {
    return await files.receive(withPlace(), { limit });
  } catch (error) {
    if (!(error instanceof NoPlace)) throw error;
    await incoming.end();
    while ((await next()) !== null)
      if (bytes > limit) throw new GraftError('file_too_large', 'the part is too large');
    return { path: null, bytes, sha256: digest.digest('hex') };
  } finally {
    await pieces.return?.();
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof GraftError && error.code === 'file_too_large';
}

function tooLarge(limit: number, upload: Upload): ApiError {
  const message =
    limit === maxPartBytes
      ? `A part has at most ${maxPartBytes} bytes; send the file in more parts.`
      : `The part has more than the ${upload.bytes} bytes that the upload announced.`;
  return new ApiError('part_too_large', message, { param: 'data' });
}
