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
  const iterator = pieces[Symbol.asyncIterator]();
  try {
    for (;;) {
      const timer = setTimeout(() => request.raw.destroy(), ms);
      const next = await iterator.next().finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

/** The parts, of which `mostFiles` may be files. Throws an ApiError for what the parser finds. */
export async function* partsOf(request: FastifyRequest, mostFiles: number): AsyncGenerator<Multipart> {
  try {
    // The parser hears of a client that hangs up from now on; of one that has already, never.
    if (request.raw.destroyed) throw new Error('the client hung up');
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
