import { streamOf } from './platform.ts';
import type { RepeatableBody } from './transport.ts';

export interface UploadSource {
  /** Name of the form field; default `file`. */
  field?: string;
  filename: string;
  bytes: number;
  /** Opened again for every try. */
  open(): AsyncIterable<Uint8Array>;
}

export type UploadProgress = (progress: { sent: number; total: number }) => void;

/**
 * Builds a multipart/form-data body, fields before files, that is streamed and has a known length. FormData would not allow observing the
 * progress.
 */
export function multipartUpload(
  fields: Record<string, string>,
  sources: UploadSource | readonly UploadSource[],
  onProgress?: UploadProgress | undefined,
): RepeatableBody {
  const boundary = `graft-${Array.from(globalThis.crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(36)).join('')}`;
  const encoder = new TextEncoder();
  const files = [sources].flat();
  const head = Object.entries(fields)
    .map(
      ([name, value]) =>
        `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    )
    .join('');
  /** Separators before each file. */
  const between = files.map(({ field = 'file', filename }, i) =>
    encoder.encode(
      `${i === 0 ? head : '\r\n'}--${boundary}\r\ncontent-disposition: form-data; name="${field}"; filename="${quotable(filename)}"\r\n` +
        'content-type: application/octet-stream\r\n\r\n',
    ),
  );
  const tail = encoder.encode(`\r\n--${boundary}--\r\n`);
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);

  async function* parts(onChunk: () => void): AsyncGenerator<Uint8Array, void, void> {
    let sent = 0;
    for (const [i, file] of files.entries()) {
      yield between[i]!;
      for await (const chunk of file.open()) {
        yield chunk;
        // This line runs after the chunk was consumed, because the generator waits for its reader.
        onChunk();
        sent += chunk.byteLength;
        onProgress?.({ sent, total });
      }
    }
    yield tail;
  }

  return {
    headers: {
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': String(
        total + [...between, tail].reduce((sum, { byteLength }) => sum + byteLength, 0),
      ),
    },
    open: (onChunk) => streamOf(parts(onChunk)),
  };
}

/** A file name inside a quoted header parameter, escaped as browsers do (HTML standard, multipart/form-data). */
const quotable = (name: string): string =>
  name.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22');
