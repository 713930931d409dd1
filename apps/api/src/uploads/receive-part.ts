import { GraftError } from '@graft/peft-core/config';
import { type FileStore, mostPartBytes, type Upload } from '@graft/service';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../api-error.ts';
import { missingParameter, readMultipart, unknownParameter } from './read-multipart.ts';

/** Bytes in the store that have no row yet. */
export interface ReceivedPart {
  path: string;
  bytes: number;
  sha256: string;
}

/**
 * Streams the field `data` of a multipart body into the store. What breaks off leaves nothing behind. Throws ApiError, among
 * them `part_too_large`, or GraftError.
 */
export async function receivePart(
  request: FastifyRequest,
  files: FileStore,
  upload: Upload,
  { idleMs }: { idleMs: number },
): Promise<ReceivedPart> {
  // A part that was sent before may come again though nothing is left, so what is left is looked at when it has its digest.
  const limit = Math.min(mostPartBytes, upload.bytes);
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
        received = await files.receive(body.bytes(part), { limit }).catch((error: unknown) => {
          throw isTooLarge(error) ? tooLarge(limit, upload) : error;
        });
      }
      if (received === null) throw missingParameter('data');
      if (received.bytes === 0) {
        throw new ApiError('invalid_value', "Invalid 'data': it is empty.", { param: 'data' });
      }
      return received;
    } catch (error) {
      if (received) await files.remove(received.path).catch(() => {});
      throw error;
    }
  });
}

function isTooLarge(error: unknown): boolean {
  return error instanceof GraftError && error.code === 'file_too_large';
}

function tooLarge(limit: number, upload: Upload): ApiError {
  const message =
    limit === mostPartBytes
      ? `A part has at most ${mostPartBytes} bytes; send the file in more parts.`
      : `The part has more than the ${upload.bytes} bytes that the upload announced.`;
  return new ApiError('part_too_large', message, { param: 'data' });
}
