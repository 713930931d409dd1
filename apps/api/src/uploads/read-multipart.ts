import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { ApiError } from '../api-error.ts';

/** The parts of a multipart body as they come, and the bytes of one that is a file. */
export interface MultipartBody {
  parts(): AsyncIterable<Multipart>;
  bytes(part: MultipartFile): AsyncIterable<Buffer>;
}

interface MultipartOptions {
  /** Milliseconds without a byte after which the client is cut off. */
  idleMs: number;
  /** The field that holds a file. */
  file: string;
  /** Default 1. */
  mostFiles?: number;
}

/**
 * Reads a multipart body by `read`, and cuts off a client that is silent. Throws ApiError `unsupported_media_type`,
 * `upload_incomplete`, and what `read` throws; the rest of the body is then dropped. Names of files are as they were sent.
 */
export async function readMultipart<T>(
  request: FastifyRequest,
  { idleMs, file, mostFiles = 1 }: MultipartOptions,
  read: (body: MultipartBody) => Promise<T>,
): Promise<T> {
  if (!request.isMultipart()) {
    throw new ApiError('unsupported_media_type', `Send the ${file} as multipart/form-data.`);
  }
  try {
    return await read({
      parts: () => unlessSilent(request, partsOf(request, file, mostFiles), idleMs),
      bytes: (part) => unlessSilent(request, bytesOf(part), idleMs),
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
 * The pieces as they come. The request is cut off when the next one takes longer than `ms` milliseconds: the sender's silence, since
 * the time that a piece is worked on does not count.
 */
async function* unlessSilent<T>(
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
async function* partsOf(request: FastifyRequest, file: string, mostFiles: number): AsyncGenerator<Multipart> {
  try {
    // Names are taken as they are sent: whoever looks at one sees what it tries.
    yield* request.parts({ preservePath: true });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === 'FST_FILES_LIMIT') {
      throw new ApiError(
        'invalid_value',
        `Invalid '${file}': send ${mostFiles === 1 ? 'exactly one' : `at most ${mostFiles}`}.`,
        { param: file },
      );
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
