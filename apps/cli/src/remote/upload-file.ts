import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { FileObject, GraftClient, UploadParams } from '@graft/client';
import { bytes } from '../draw/quantities.ts';
import { TransferDisplay } from '../draw/transfer-display.ts';
import { CommandError } from '../errors.ts';
import { isHubSource } from '../options/hub-source.ts';

/** Larger files are uploaded in parts, so that a broken connection costs only one part. */
const wholeBytes = 32 * 2 ** 20;

/**
 * Uploads a file with progress on stderr, or lets the service fetch a data set of the Hub. An interrupted upload resumes when the command is
 * run again.
 */
export async function uploadFile(
  client: GraftClient,
  path: string,
  options: Pick<UploadParams, 'purpose' | 'columns' | 'onBadLines'> = {},
): Promise<FileObject> {
  const { purpose = 'fine-tune', columns, onBadLines } = options;
  if (isHubSource(path)) {
    process.stderr.write(`The service fetches ${path}\n`);
    return await client.files.import({ source: path, purpose, columns, onBadLines });
  }
  const display = new TransferDisplay(process.stderr, `Uploading ${basename(path)}`);
  const onProgress = ({ sent, total }: { sent: number; total: number }) => display.update(sent, total);
  try {
    if (purpose !== 'fine-tune' || (await stat(path)).size <= wholeBytes)
      return await client.files.upload({ file: path, purpose, columns, onBadLines, onProgress });
    const upload = await client.uploads.sendFile({
      file: path,
      columns,
      onBadLines,
      onProgress,
      onResume: ({ sent, total }) =>
        void process.stderr.write(`Resuming an upload that has ${bytes(sent)} of ${bytes(total)}.\n`),
    });
    if (upload.file) return upload.file;
    throw new CommandError(`${path} was uploaded, and then deleted by someone else.`);
  } finally {
    display.close();
  }
}
