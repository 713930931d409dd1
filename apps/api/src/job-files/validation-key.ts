import { createHash } from 'node:crypto';
import { namedMethod } from '@graft/peft-core/config';
import type { FileRecord } from '@graft/service';
import type { TaskTokenizer } from './task-tokenizer.ts';
import type { ValidationTask } from './validation-task.ts';

/** Increase when the checks or messages of validation change: earlier results then no longer apply. */
const validationVersion = 5;

/** SHA-256 of everything that a validation's result depends on, so that similar jobs share one result. */
export function validationKey(
  files: { training: FileRecord; validation: FileRecord | null },
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
    textStride,
    repeatsBos,
    method,
  }: Omit<ValidationTask, 'trainingFile' | 'validationFile' | 'sample'> &
    Pick<TaskTokenizer, 'tokenizerKey'> & { method: string },
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
    // Omitted for the format's default method, so that keys are the same as before methods existed.
    method: namedMethod(files.training.format, method),
    training: files.training.sha256,
    validation: files.validation?.sha256 ?? null,
  });
}

function sha256(value: object): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
