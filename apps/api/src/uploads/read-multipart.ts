import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../api-error.ts';

/** The parts of a multipart body as they come, and the bytes of one that is a file. */
export interface MultipartBody {
  parts(): AsyncIterable<Multipart>;
  bytes(part: MultipartFile): AsyncIterable<Buffer>;
}

/**
 * Reads a multipart body by `read`, and cuts off a client that is silent for `idleMs`. Throws ApiError `unsupported_media_type`,
 * `upload_incomplete`, and what `read` throws; the rest of the body is then dropped. `file`: the field that holds a file.
 */
export async function readMultipart<T>(
  request: FastifyRequest,
  { idleMs, file }: { idleMs: number; file: string },
  read: (body: MultipartBody) => Promise<T>,
): Promise<T> {
  if (!request.isMultipart()) {
    throw new ApiError('unsupported_media_type', `Send the ${file} as multipart/form-data.`);
  }
  const whileSent = <P>(pieces: AsyncIterable<P>) => promptly(pieces, idleMs, () => request.raw.destroy());
  try {
    return await read({
      parts: () => whileSent(partsOf(request, file)),
      bytes: (part) => whileSent(bytesOf(part)),
    });
  } catch (error) {
    // The rest of the body is read and dropped, so that a client that sends first and then reads sees the answer.
    request.raw.unpipe();
    request.raw.resume();
    throw error;
  }
}

export function unknownParameter(name: string): ApiError {
  return new ApiError('unknown_parameter', `Unknown parameter: '${name}'.`, { param: name });
}

export function missingParameter(name: string): ApiError {
  return new ApiError('missing_required_parameter', `Missing required parameter: '${name}'.`, {
    param: name,
  });
}

/**
 * The pieces as they come. `onSilence` is called when the next one takes longer than `ms`: the sender's silence, since the
 * time that a piece is worked on does not count.
 */
async function* promptly<T>(pieces: AsyncIterable<T>, ms: number, onSilence: () => void): AsyncGenerator<T> {
  const iterator = pieces[Symbol.asyncIterator]();
  try {
    for (;;) {
      const timer = setTimeout(onSilence, ms);
      const next = await iterator.next().finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

/** The parts. Throws an ApiError for what the parser finds. */
async function* partsOf(request: FastifyRequest, file: string): AsyncGenerator<Multipart> {
  try {
    yield* request.parts();
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === 'FST_FILES_LIMIT') {
      throw new ApiError('invalid_value', `Invalid '${file}': send exactly one.`, { param: file });
    }
    throw brokenUpload(message, error);
  }
}

/** The bytes of a file part. Throws an ApiError when they break off. */
async function* bytesOf(part: MultipartFile): AsyncGenerator<Buffer> {
  try {
    yield* part.file as AsyncIterable<Buffer>;
  } catch (error) {
    throw brokenUpload((error as Error).message, error);
  }
}

function brokenUpload(reason: string, cause: unknown): ApiError {
  return new ApiError('upload_incomplete', `The upload is broken: ${reason}`, { cause });
}
