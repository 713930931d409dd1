import type { UploadSource } from './multipart-upload.ts';
import { nodeModule, requireNodeModule } from './platform.ts';
import type { RepeatableBody } from './transport.ts';

/** A local file that is read again for every try (Node). */
export async function pathSource(path: string, filename: string | undefined): Promise<UploadSource> {
  const fs = requireNodeModule('node:fs', 'Uploading from a path');
  const { basename } = requireNodeModule('node:path', 'Uploading from a path');
  const stats = await fs.promises.stat(path);
  if (!stats.isFile()) throw new TypeError(`${path} is not a file.`);
  return {
    filename: filename ?? basename(path),
    bytes: stats.size,
    // Exactly the announced length, even if the file grows meanwhile.
    open: () =>
      stats.size === 0 ? fs.createReadStream(path) : fs.createReadStream(path, { end: stats.size - 1 }),
  };
}

/** Yields the bytes of a Blob as they are read. */
export async function* chunksOf(blob: Blob): AsyncGenerator<Uint8Array, void, void> {
  const reader = blob.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/**
 * Returns a form with the Blob as a request body, for browsers: few of them can send streams. Null in Node, which can, and reports progress.
 */
export function blobForm(
  fields: Record<string, string>,
  file: { field: string; filename: string; blob: Blob },
): RepeatableBody | null {
  if (nodeModule('node:fs') != null) return null;
  return {
    headers: {},
    open() {
      const form = new FormData();
      for (const [name, value] of Object.entries(fields)) form.append(name, value);
      form.append(file.field, file.blob, file.filename);
      return form;
    },
  };
}
