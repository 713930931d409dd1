import { createHash } from 'node:crypto';
import { namedMethod } from '@graft/peft-core/config';
import type { FileRecord } from '@graft/service';
import type { TaskTokenizer } from './file-thread.ts';
import type { ValidationTask } from './validation-task.ts';

/** Raised by whoever changes what validation accepts or says: results that were kept before count no more. */
const validationVersion = 4;

/** SHA-256 of all that a validation's result depends on, so that one result serves every job that is alike. */
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
    textStride,
    repeatsBos,
    method,
  }: Omit<ValidationTask, 'trainingFile' | 'validationFile' | 'sample'> &
    Pick<TaskTokenizer, 'tokenizerKey'> & { method: string },
): string {
  return sha256({
    ...{ validationVersion, node: process.version, tokenizerKey, modelConfig, peft },
    ...{ maxSeqLength, overlong, allowSpecialTokens, templateKwargs, textStride, repeatsBos },
    ...(peft.task_type === 'FEATURE_EXTRACTION' ? { contrast } : {}),
    ...(classWeights ? { classWeights } : {}),
    // Absent, so that the key is what it was before there were methods, where it is the format's default.
    method: namedMethod(files.training.format, method),
    training: files.training.sha256,
    validation: files.validation?.sha256 ?? null,
  });
}

function sha256(value: object): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
