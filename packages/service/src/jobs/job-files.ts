/** The data files of a job: one of each kind, or several with shares and names. */
import {
  epochSize,
  type FileShare,
  GraftError,
  type Mixture,
  mixtureOf,
  type TrainingOptions,
} from '@graft/peft-core/config';
import type { DataFiles } from '@graft/peft-core/examples';
import type { Database } from '../database/database.ts';
import { type FileRecord, getFile } from '../files/file-records.ts';
import type { JobTrainingFile, JobValidationFile } from './job.ts';

/** The columns of a job, or of a request for one, that name its files. */
interface NamesFiles {
  trainingFileId: string;
  validationFileId: string | null;
  trainingFiles?: readonly JobTrainingFile[] | null;
  validationFiles?: readonly JobValidationFile[] | null;
}

/** A file of a job, and the field of the request that names it. */
export interface JobFile {
  id: string;
  role: 'training_file' | 'validation_file';
  param: string;
}

/** Every file of a job, training files first. A file may be listed twice. */
export function filesOfJob(job: NamesFiles): JobFile[] {
  const of = (role: JobFile['role'], only: string | null, several?: readonly { file: string }[] | null) => {
    if (several) return several.map(({ file: id }, i): JobFile => ({ id, role, param: `${role}s[${i}]` }));
    return only === null ? [] : [{ id: only, role, param: role }];
  };
  return [
    ...of('training_file', job.trainingFileId, job.trainingFiles),
    ...of('validation_file', job.validationFileId, job.validationFiles),
  ];
}

export interface JobFiles {
  training: readonly (FileShare & { file: FileRecord })[];
  validation: readonly { name: string; file: FileRecord }[];
  /** True where the request has the list: `training_files`, `validation_files`. */
  hasLists: { training: boolean; validation: boolean };
}

/** Reads the rows of a job's files with `find`, which throws for a file that is not there. */
export async function readJobFiles(
  job: NamesFiles,
  find: (file: JobFile) => Promise<FileRecord>,
): Promise<JobFiles> {
  const training: (FileShare & { file: FileRecord })[] = [];
  const validation: { name: string; file: FileRecord }[] = [];
  const known = new Map<string, FileRecord>();
  for (const each of filesOfJob(job)) {
    const file = known.get(each.id) ?? (await find(each));
    known.set(each.id, file);
    if (each.role === 'validation_file') {
      validation.push({ name: job.validationFiles?.[validation.length]?.name ?? '', file });
      continue;
    }
    const { weight = 1, epochs = 1 } = job.trainingFiles?.[training.length] ?? {};
    training.push({ weight, epochs, file });
  }
  const hasLists = { training: Boolean(job.trainingFiles), validation: Boolean(job.validationFiles) };
  return { training, validation, hasLists };
}

/** Finds a job's file for `readJobFiles`: a file that is gone is a fault of the system, since a queued job keeps its files. */
export async function findJobFile(db: Database, teamId: string, { id, param }: JobFile): Promise<FileRecord> {
  const file = await getFile(db, teamId, id);
  if (!file) throw new GraftError('file_not_found', `The file ${id} is gone.`, { param, fault: 'system' });
  return file;
}

/** How the training files are mixed; null if each epoch has exactly one file once. */
export function mixtureOfJob(
  { training, hasLists }: Pick<JobFiles, 'training' | 'hasLists'>,
  { mix_strategy: strategy }: Pick<TrainingOptions, 'mix_strategy'>,
): Mixture | null {
  return hasLists.training ? mixtureOf(training, strategy) : null;
}

/** Returns the data that training options are resolved for: the only training file, or an epoch of several as one. */
export function epochOf(
  files: JobFiles,
  training: Pick<TrainingOptions, 'mix_strategy'>,
): Pick<FileRecord, 'format' | 'examples' | 'answerCharacters'> {
  const sources = files.training.map(({ file }) => file);
  const { examples, answerCharacters } = epochSize(sources, mixtureOfJob(files, training));
  return { format: sources[0]!.format, examples, answerCharacters };
}

/** The files as training reads them, with the paths that `pathOf` returns. */
export async function dataFilesOf(
  { training, validation, hasLists }: JobFiles,
  pathOf: (file: FileRecord) => Promise<string>,
): Promise<Required<DataFiles>> {
  const paths = new Map<string, string>();
  for (const { file } of [...training, ...validation])
    if (!paths.has(file.id)) paths.set(file.id, await pathOf(file));
  const named = <T extends { file: FileRecord }>({ file, ...rest }: T) => {
    // Without half of a character of two code units at its end.
    return { ...rest, path: paths.get(file.id)!, label: Buffer.from(file.filename.slice(0, 200)).toString() };
  };
  return {
    trainingFile: paths.get(training[0]!.file.id)!,
    validationFile: validation[0] ? paths.get(validation[0].file.id)! : null,
    trainingFiles: hasLists.training ? training.map(named) : null,
    validationFiles: hasLists.validation ? validation.map(named) : null,
  };
}
