import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../api-error.ts';

/** The parts of a multipart body as they arrive, and the bytes of a file part. */
export interface MultipartBody {
  parts(): AsyncIterable<Multipart>;
  bytes(part: MultipartFile): AsyncIterable<Buffer>;
}

interface MultipartOptions {
  /** Milliseconds without data after which the client is disconnected. */
  idleMs: number;
  /** Name of the field with the file. */
  file: string;
  /** Default 1. */
  maxFiles?: number;
}

/**
 * Reads a multipart body with `read`, and disconnects a silent client. Throws ApiError `unsupported_media_type`, `upload_incomplete`, and
 * the errors of `read`; the rest of the body is then dropped. File names are as sent.
 */
export async function readMultipart<T>(
  request: FastifyRequest,
  { idleMs, file, maxFiles = 1 }: MultipartOptions,
  read: (body: MultipartBody) => Promise<T>,
): Promise<T> {
  if (!request.isMultipart()) {
    throw new ApiError('unsupported_media_type', `Send the ${file} as multipart/form-data.`);
  }
  try {
    return await read({
      parts: () => unlessSilent(request, partsOf(request, file, maxFiles), idleMs),
      bytes: (part) => unlessSilent(request, bytesOf(part), idleMs),
    });
  } catch (error) {
    // Reads and drops the rest of the body, so that a client that sends everything before it reads gets the response.
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
 * Yields the pieces as they arrive. Disconnects if the next piece takes longer than `ms` milliseconds; the time that the reader takes for a
 * piece does not count.
 */
async function* unlessSilent<T>(
  request: FastifyRequest,
  pieces: AsyncIterable<T>,
  ms: number,
): AsyncGenerator<T> {
  const { raw } = request;
  const iterator = pieces[Symbol.asyncIterator]();
  let lost = false;
  /** Rejects the wait for the next piece. */
  let giveUp = () => {};
  const onClose = () => {
    if (raw.complete) return;
    lost = true;
    giveUp();
  };
  /** Rejects when the client is gone: the parser may have started after the event, and would wait forever. */
  const nextPiece = () =>
    // No race with a promise of the whole upload, which would keep every piece until its end.
    new Promise<IteratorResult<T>>((resolve, reject) => {
      giveUp = () => reject(brokenUpload('the client hung up', null));
      if (lost) giveUp();
      iterator.next().then(resolve, reject);
    });
  if (raw.destroyed) onClose();
  else raw.once('close', onClose);
  try {
    for (;;) {
      const timer = setTimeout(() => raw.destroy(), ms);
      const next = await nextPiece().finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value;
    }
  } finally {
    raw.off('close', onClose);
    // return() may itself wait for a piece that never comes.
    const returned = iterator.return?.();
    if (lost) returned?.catch(() => {});
    else await returned;
  }
}

/** The parts, at most `maxFiles` of them files. Throws an ApiError for errors of the parser. */
async function* partsOf(request: FastifyRequest, file: string, maxFiles: number): AsyncGenerator<Multipart> {
  try {
    // Keeps names as sent, so that attempts at other paths are visible.
    yield* request.parts({ preservePath: true });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === 'FST_FILES_LIMIT') {
      throw new ApiError(
        'invalid_value',
        `Invalid '${file}': send ${maxFiles === 1 ? 'exactly one' : `at most ${maxFiles}`}.`,
        { param: file },
      );
    }
    throw brokenUpload(message, error);
  }
}

/** The bytes of a file part. Throws an ApiError if they end early. */
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
