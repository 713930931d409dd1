import { basename } from 'node:path';
import type { FileObject, GraftClient } from '@graft/client';
import { TransferDisplay } from '../draw/transfer-display.ts';

/** Uploads with progress on stderr. */
export async function uploadFile(
  client: GraftClient,
  path: string,
  purpose = 'fine-tune',
): Promise<FileObject> {
  const display = new TransferDisplay(process.stderr, `Uploading ${basename(path)}`);
  try {
    return await client.files.upload({
      file: path,
      purpose,
      onProgress: ({ sent, total }) => display.update(sent, total),
    });
  } finally {
    display.close();
  }
}
