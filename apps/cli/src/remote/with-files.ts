import { existsSync } from 'node:fs';
import type { GraftApiError, GraftClient, JobEstimateParams } from '@graft/client';
import { given } from '../options/arguments.ts';
import { type DataFlags, dataArguments, isPlain, shareOf } from '../options/data-arguments.ts';
import { isHubSource } from '../options/hub-source.ts';
import { type TrainingFlags, trainingArgument } from '../options/job-options.ts';
import { uploadFile } from './upload-file.ts';

export type JobFiles = Pick<
  JobEstimateParams,
  'training_file' | 'validation_file' | 'training_files' | 'validation_files'
>;

/**
 * Uploads local files, and lets the service fetch data sets of the Hub, for a request. Deletes what it uploaded when the request is rejected or, with
 * `forNow`, after the request; files that were there before stay.
 */
export async function withFiles<T>(
  client: GraftClient,
  options: DataFlags,
  request: (files: JobFiles) => Promise<T>,
  { forNow = false } = {},
): Promise<T> {
  const { training, validation } = checkFiles(options);
  const { mix_strategy: mix, on_bad_lines: onBadLines } = readWith(options);
  const uploaded: string[] = [];
  const ids = new Map<string, string>();
  const idOf = async (path: string): Promise<string> => {
    if (!existsSync(path) && !isHubSource(path)) return path;
    const known = ids.get(path);
    if (known !== undefined) return known;
    const { file, isReused } = await uploadFile(client, path, { columns: options.columns, onBadLines });
    const { id } = file;
    ids.set(path, id);
    if (isReused) {
      note(`${path} is there already as ${id}.`);
      return id;
    }
    uploaded.push(id);
    note(`${isHubSource(path) ? 'Fetched' : 'Uploaded'} ${path} as ${id}.`);
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
    const trained: { file: string; weight?: number; epochs?: number }[] = [];
    for (const each of training) trained.push({ file: await idOf(each.file), ...shareOf(each, mix) });
    const held: { file: string; name?: string }[] = [];
    for (const { file, name } of validation)
      held.push({ file: await idOf(file), ...(name !== null && { name }) });
    const answer = await request({
      ...(isPlain.training(training) ? { training_file: trained[0]!.file } : { training_files: trained }),
      ...(isPlain.validation(validation)
        ? given({ validation_file: held[0]?.file })
        : { validation_files: held }),
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

/** Throws UsageError for an argument that is neither a local file, a data set of the Hub nor the id of an uploaded file. */
export const checkFiles = (options: DataFlags): ReturnType<typeof dataArguments> =>
  dataArguments(
    options,
    (file) => existsSync(file) || isHubSource(file) || /^file-[A-Za-z0-9]+$/.test(file),
    ', and it is not the id of an uploaded one (file-…)',
  );

/** Options of --mix and --training that decide how files are uploaded and mixed. The service reports wrong values. */
const readWith = ({ mix, training }: DataFlags & TrainingFlags) =>
  (trainingArgument(given({ mix, training })) ?? {}) as {
    mix_strategy?: string;
    on_bad_lines?: 'fail' | 'skip';
  };
