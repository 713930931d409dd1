/** A multipart body, read part by part as it comes. */
import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../api-error.ts';

/**
 * The pieces as they come. The request is cut off when the next one takes longer than `ms` milliseconds: the sender's silence, since
 * the time that a piece is worked on does not count.
 */
export async function* unlessSilent<T>(
  request: FastifyRequest,
  pieces: AsyncIterable<T>,
  ms: number,
): AsyncGenerator<T> {
  const { raw } = request;
  const iterator = pieces[Symbol.asyncIterator]();
  let lost = false;
  let onClose = () => {};
  // The parser may have begun too late to hear of it, and would wait for ever.
  const gone = new Promise<never>((_, reject) => {
    onClose = () => {
      if (raw.complete) return;
      lost = true;
      reject(brokenUpload('the client hung up', null));
    };
  });
  gone.catch(() => {});
  if (raw.destroyed) onClose();
  else raw.once('close', onClose);
  try {
    for (;;) {
      const timer = setTimeout(() => raw.destroy(), ms);
      const next = await Promise.race([iterator.next(), gone]).finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value;
    }
  } finally {
    raw.off('close', onClose);
    // What waits for a piece that never comes would not return.
    const returned = iterator.return?.();
    if (lost) returned?.catch(() => {});
    else await returned;
  }
}

/** The parts, of which `mostFiles` may be files. Throws an ApiError for what the parser finds. */
export async function* partsOf(request: FastifyRequest, mostFiles: number): AsyncGenerator<Multipart> {
  try {
    // Names are taken as they are sent: whoever looks at one sees what it tries.
    yield* request.parts({ preservePath: true });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === 'FST_FILES_LIMIT') {
      throw new ApiError(
        'invalid_value',
        `Invalid 'file': send ${mostFiles === 1 ? 'exactly one' : `at most ${mostFiles}`}.`,
        { param: 'file' },
      );
    }
    throw brokenUpload(message, error);
  }
}

/** The bytes of a file part. Throws an ApiError when they break off. */
export async function* bytesOf(part: MultipartFile): AsyncGenerator<Buffer> {
  try {
    yield* part.file as AsyncIterable<Buffer>;
  } catch (error) {
    throw brokenUpload((error as Error).message, error);
  }
}

function brokenUpload(reason: string, cause: unknown): ApiError {
  return new ApiError('upload_incomplete', `The upload is broken: ${reason}`, { cause });
}

/** Reads the rest of a body and drops it, so that a client that sends first and then reads sees the answer. */
export function dropBody(request: FastifyRequest): void {
  request.raw.unpipe();
  request.raw.resume();
}

export function unknownParameter(name: string): ApiError {
  return new ApiError('unknown_parameter', `Unknown parameter: '${name}'.`, { param: name });
}

export function missing(name: string): ApiError {
  return new ApiError('missing_required_parameter', `Missing required parameter: '${name}'.`, {
    param: name,
  });
}
