import { existsSync } from 'node:fs';
import type { GraftApiError, GraftClient } from '@graft/client';
import { given } from '../arguments.ts';
import { UsageError } from '../errors.ts';
import { uploadFile } from './upload-file.ts';

export interface FileOptions {
  data: string;
  validation?: string;
  columns?: Record<string, string>;
}

/** The file ids of a job, for a request. */
export interface JobFiles {
  training_file: string;
  validation_file?: string;
}

/**
 * Uploads local files for a request. Deletes them again when the request is rejected or, with `forNow`, after the request.
 */
export async function withFiles<T>(
  client: GraftClient,
  options: FileOptions,
  request: (files: JobFiles) => Promise<T>,
  { forNow = false } = {},
): Promise<T> {
  const { training, validation } = checkFiles(options);
  const uploaded: string[] = [];
  const idOf = async (file: FileArgument): Promise<string> => {
    if ('id' in file) return file.id;
    const { id } = await uploadFile(client, file.path, { columns: options.columns });
    uploaded.push(id);
    note(`Uploaded ${file.path} as ${id}.`);
    return id;
  };
  const deleteUploads = async () => {
    for (const id of uploaded) {
      await client.files.delete(id).then(
        () => note(`Deleted ${id} again.`),
        () => note(`${id} stays: it could not be deleted.`),
      );
    }
  };
  try {
    const answer = await request({
      training_file: await idOf(training),
      ...given({ validation_file: validation === null ? undefined : await idOf(validation) }),
    });
    if (forNow) await deleteUploads();
    return answer;
  } catch (error) {
    // After a connection error the job may exist and need its files.
    const isRefused = (error as Error).name === 'GraftApiError' && (error as GraftApiError).status < 500;
    if (isRefused || forNow) await deleteUploads();
    throw error;
  }
}

const note = (text: string): boolean => process.stderr.write(`${text}\n`);

type FileArgument = { path: string } | { id: string };

/** Throws UsageError for an argument that is neither a local file nor the id of an uploaded one. */
export function checkFiles({ data, validation }: FileOptions) {
  return {
    training: fileOf(data, '--data'),
    validation: validation === undefined ? null : fileOf(validation, '--validation'),
  };
}

/** An existing path is a local file; otherwise, anything that looks like a file id is used as one. */
function fileOf(text: string, option: string): FileArgument {
  if (existsSync(text)) return { path: text };
  if (/^file-[A-Za-z0-9]+$/.test(text)) return { id: text };
  throw new UsageError(
    `${option}: there is no file ${text}, and it is not the id of an uploaded one (file-…).`,
  );
}
