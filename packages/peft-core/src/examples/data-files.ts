import { type FileShare, type Mixture, mixtureOf } from '../config/mixture.ts';
import type { ValidationSet } from '../config/validation-sets.ts';
import { GraftError } from '../errors.ts';
import type { MixStrategy } from '../lists.ts';
import { OWN_TEMPLATE } from '../schema/template-kwargs.ts';

/** Role of a data file. */
export type DataFile = 'training_file' | 'validation_file';

/** A training file of several, with its share of each epoch. */
export interface TrainingFile extends Partial<FileShare> {
  path: string;
  /** Name of the file for messages. */
  label?: string;
}

/** A validation file of several: a set with its own curves. */
export interface ValidationFile extends Pick<ValidationSet, 'name'> {
  path: string;
  label?: string;
}

export interface DataFiles {
  /** The only training file, or the first of `trainingFiles`. */
  trainingFile: string;
  /** The only validation file, or the first of `validationFiles`. */
  validationFile?: string | null;
  /** All training files, where there are several or one has a share; absent: `trainingFile`, once per epoch. */
  trainingFiles?: readonly TrainingFile[] | null;
  /** All validation files, where they are named; absent: `validationFile`. */
  validationFiles?: readonly ValidationFile[] | null;
}

/** A data file and how the request names it: `training_file`, or `training_files[1]`. */
export interface NamedFile {
  role: DataFile;
  /** Its number among the files of this role, from 0. */
  index: number;
  path: string;
  param: string;
  /** Start of error messages: empty for the only file of its role. */
  prefix: string;
}

export function filesOf(source: DataFiles, role: DataFile): NamedFile[] {
  const { trainingFile, validationFile, trainingFiles, validationFiles } = source;
  const several = role === 'training_file' ? trainingFiles : validationFiles;
  if (several?.length)
    return several.map(({ path, label }, index) => {
      const param = `${role}s[${index}]`;
      return { role, index, path, param, prefix: `${param}${label ? ` (${label})` : ''}: ` };
    });
  const path = role === 'training_file' ? trainingFile : validationFile;
  return path ? [{ role, index: 0, path, param: role, prefix: '' }] : [];
}

/** How the training files are mixed; null if each epoch has exactly one file once. */
export function mixtureOfFiles(
  { trainingFiles }: Pick<DataFiles, 'trainingFiles'>,
  { mix_strategy: strategy }: { mix_strategy?: MixStrategy | undefined },
): Mixture | null {
  return mixtureOf(trainingFiles ?? [], strategy);
}

/** Runs `body`; its errors name the file, unless they concern the base model. */
export async function attributeErrors<T>(
  { param: fileParam, prefix }: Pick<NamedFile, 'param' | 'prefix'>,
  body: () => Promise<T>,
): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const { code, message, fault, details, param } = error;
    const isModel = param === 'model' || param === OWN_TEMPLATE;
    throw new GraftError(code, isModel ? message : `${prefix}${message}`, {
      param: isModel ? param : fileParam,
      fault,
      cause: error,
      ...(details ? { details } : {}),
    });
  }
}

/** The error for a file whose format differs from that of the first file. */
export function formatMismatch(
  other: { file: NamedFile; format: string },
  first: { file: NamedFile; format: string },
): GraftError {
  const nameOf = ({ role, prefix }: NamedFile) =>
    prefix === '' ? `the ${role.replace('_', ' ')}` : prefix.slice(0, -2);
  return new GraftError(
    'invalid_jsonl',
    `${nameOf(other.file)} must have ${first.format} examples like ${nameOf(first.file)}, but has ${other.format} examples`,
    { param: other.file.param },
  );
}
