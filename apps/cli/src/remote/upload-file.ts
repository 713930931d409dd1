import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isDeepStrictEqual } from 'node:util';
import type { FileObject, GraftApiError, GraftClient, UploadParams } from '@graft/client';
import { bytes } from '../draw/quantities.ts';
import { TransferDisplay } from '../draw/transfer-display.ts';
import { CommandError } from '../errors.ts';
import { isHubSource } from '../options/hub-source.ts';

/** Larger files are uploaded in parts, so that a broken connection costs only one part. */
const wholeBytes = 32 * 2 ** 20;

/**
 * Uploads a file with progress on stderr, or lets the service fetch a data set of the Hub. An interrupted upload resumes when the command is
 * run again. `isReused`: the team has an equal file, and nothing was uploaded.
 */
export async function uploadFile(
  client: GraftClient,
  path: string,
  options: Pick<UploadParams, 'purpose' | 'columns' | 'onBadLines'> = {},
): Promise<{ file: FileObject; isReused: boolean }> {
  const { purpose = 'fine-tune', columns, onBadLines } = options;
  if (isHubSource(path)) {
    process.stderr.write(`The service fetches ${path}\n`);
    const file = await client.files.import({ source: path, purpose, columns, onBadLines });
    return { file, isReused: false };
  }
  const equal = await equalFile(client, path, { purpose, columns });
  if (equal) return { file: equal, isReused: true };
  const display = new TransferDisplay(process.stderr, `Uploading ${basename(path)}`);
  const onProgress = ({ sent, total }: { sent: number; total: number }) => display.update(sent, total);
  try {
    if (purpose !== 'fine-tune' || (await stat(path)).size <= wholeBytes) {
      const file = await client.files.upload({ file: path, purpose, columns, onBadLines, onProgress });
      return { file, isReused: false };
    }
    const upload = await client.uploads.sendFile({
      file: path,
      columns,
      onBadLines,
      onProgress,
      onResume: ({ sent, total }) =>
        void process.stderr.write(`Resuming an upload that has ${bytes(sent)} of ${bytes(total)}.\n`),
    });
    if (upload.file) return { file: upload.file, isReused: false };
    throw new CommandError(`${path} was uploaded, and then deleted by someone else.`);
  } finally {
    display.close();
  }
}

/** The newest file of the team with this content, name, purpose and columns; null: there is none, or the key may not list files. */
async function equalFile(
  client: GraftClient,
  path: string,
  { purpose, columns = null }: { purpose: string; columns?: Record<string, string> | null | undefined },
): Promise<FileObject | null> {
  const filename = basename(path);
  // A pipe can be read only once.
  if (!(await stat(path)).isFile()) return null;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const sha256 = hash.digest('hex');
  try {
    for await (const file of client.files.list({ sha256, filename, purpose })) {
      // A service of an earlier version may know fewer filters.
      const isEqual = file.sha256 === sha256 && file.filename === filename && file.status !== 'error';
      if (isEqual && isDeepStrictEqual(file.columns, columns)) return file;
    }
    return null;
  } catch (error) {
    const { name, status } = error as GraftApiError;
    if (name === 'GraftApiError' && (status === 400 || status === 403)) return null;
    throw error;
  }
}
