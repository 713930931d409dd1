import { streamOf } from './platform.ts';
import type { RepeatableBody } from './transport.ts';

export interface UploadSource {
  filename: string;
  bytes: number;
  /** Opened anew for every try. */
  open(): AsyncIterable<Uint8Array>;
}

export type UploadProgress = (progress: { sent: number; total: number }) => void;

/**
 * A multipart/form-data body that is sent as it is read, with its length announced beforehand. FormData would
 * do the same without a way to see progress. `field`: the name of the file's part.
 */
export function multipartUpload(
  fields: Record<string, string>,
  source: UploadSource,
  onProgress?: UploadProgress | undefined,
  field = 'file',
): RepeatableBody {
  const boundary = `graft-${Array.from(globalThis.crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(36)).join('')}`;
  const encoder = new TextEncoder();
  const head = encoder.encode(
    Object.entries(fields)
      .map(
        ([name, value]) =>
          `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
      )
      .concat(
        `--${boundary}\r\ncontent-disposition: form-data; name="${field}"; filename="${quotable(source.filename)}"\r\n` +
          'content-type: application/octet-stream\r\n\r\n',
      )
      .join(''),
  );
  const tail = encoder.encode(`\r\n--${boundary}--\r\n`);

  async function* parts(onChunk: () => void): AsyncGenerator<Uint8Array, void, void> {
    yield head;
    let sent = 0;
    for await (const chunk of source.open()) {
      yield chunk;
      // This line runs after the chunk was taken, because the generator waits for its reader.
      onChunk();
      sent += chunk.byteLength;
      onProgress?.({ sent, total: source.bytes });
    }
    yield tail;
  }

  return {
    headers: {
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': String(head.byteLength + source.bytes + tail.byteLength),
    },
    open: (onChunk) => streamOf(parts(onChunk)),
  };
}

/** A file name inside a quoted header parameter, escaped as browsers do (HTML standard, multipart/form-data). */
const quotable = (name: string): string =>
  name.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22');
