import { createHash } from 'node:crypto';
import { type Mixture, namedMethod } from '@graft/peft-core/config';
import type { DataFiles } from '@graft/peft-core/examples';
import type { JobFiles } from '@graft/service/jobs';
import type { TaskTokenizer } from './task-tokenizer.ts';
import type { ValidationTask } from './validation-task.ts';

/** Increase when the checks or messages of validation change: earlier results then no longer apply. */
const validationVersion = 5;

/** SHA-256 of everything that a validation's result depends on, so that similar jobs share one result. */
export function validationKey(
  { training, validation, hasLists }: JobFiles,
  {
    tokenizerKey,
    modelConfig,
    peft,
    maxSeqLength,
    overlong,
    allowSpecialTokens,
    contrast,
    templateKwargs,
    classWeights,
    trainOn,
    maskReasoning,
    columns,
    onBadLines,
    maxBadLines,
    textStride,
    repeatsBos,
    method,
    mixture,
  }: Omit<ValidationTask, keyof DataFiles | 'sample'> &
    Pick<TaskTokenizer, 'tokenizerKey'> & { mixture: Mixture | null },
): string {
  return sha256({
    validationVersion,
    node: process.version,
    tokenizerKey,
    modelConfig,
    peft,
    maxSeqLength,
    overlong,
    allowSpecialTokens,
    templateKwargs,
    textStride,
    repeatsBos,
    ...(peft.task_type === 'FEATURE_EXTRACTION' ? { contrast } : {}),
    ...(classWeights ? { classWeights } : {}),
    // Omitted where they are off, as in keys of earlier versions.
    trainOn,
    maskReasoning,
    ...(columns ? { columns } : {}),
    onBadLines,
    maxBadLines,
    // Omitted for the format's default method, so that keys are the same as before methods existed.
    method: namedMethod(training[0]!.file.format, method),
    training: training[0]!.file.sha256,
    validation: validation[0]?.file.sha256 ?? null,
    // Omitted for jobs with one file of each kind, whose keys are the same as before there could be more. Messages name the files.
    ...(hasLists.training && {
      trainingFiles: training.map(({ file }) => [file.sha256, file.filename]),
      mixture,
    }),
    ...(hasLists.validation && {
      validationFiles: validation.map(({ file, name }) => [file.sha256, file.filename, name]),
    }),
  });
}

function sha256(value: object): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
