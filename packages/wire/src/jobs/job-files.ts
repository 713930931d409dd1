/** The data files of a job, in requests and in the job. */

import { FILE_EPOCHS_LIMITS, MAX_DATA_FILES, WEIGHT_LIMITS } from '@graft/peft-core/config';
import { Type } from 'typebox';
import { input, nullable, optional } from '../schema.ts';

const fileId = Type.String({ minLength: 1, maxLength: 64, description: 'Id of an uploaded JSONL file.' });

const TrainingFileSchema = input({
  file: fileId,
  ...optional({
    weight: Type.Number({
      ...WEIGHT_LIMITS,
      description:
        'With `interleave_under` and `interleave_over`: share of the file in each epoch, relative to the weights of the other files. Default 1.',
    }),
    epochs: Type.Number({
      ...FILE_EPOCHS_LIMITS,
      description:
        'With `concat`: how often each epoch has the file. With a fraction, such as 0.5, each epoch has another part of the file. Default 1.',
    }),
  }),
});

const ValidationFileSchema = input({
  file: fileId,
  name: Type.Optional(
    nullable(
      Type.String({
        minLength: 1,
        maxLength: 32,
        description:
          'Name of the file in the names of its metrics: a-z, 0-9 and _. Default: from the name of the file.',
      }),
    ),
  ),
});

/** Fields of a request: of each kind one file, or a list. */
export const requestedFiles = optional({
  training_file: nullable(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'Id of an uploaded JSONL file. Required, unless `training_files` is given.',
    }),
  ),
  validation_file: nullable(Type.String({ minLength: 1, maxLength: 64 })),
  training_files: nullable(Type.Array(TrainingFileSchema, { minItems: 1, maxItems: MAX_DATA_FILES }), {
    description:
      'Several training files, instead of `training_file`, which may be given beside them if it is the first. `training.mix_strategy` determines how they are mixed.',
  }),
  validation_files: nullable(Type.Array(ValidationFileSchema, { minItems: 1, maxItems: MAX_DATA_FILES }), {
    description:
      'Several validation files, instead of `validation_file`: each is also measured separately, as `eval_<name>_loss` and further metrics.',
  }),
});

export const filesOfJob = {
  training_file: Type.String({
    description: 'Id of the training file, or of the first of `training_files`.',
  }),
  validation_file: nullable(Type.String(), {
    description: 'Id of the validation file, or of the first of `validation_files`. Null without one.',
  }),
  training_files: nullable(
    Type.Array(Type.Object({ file: Type.String(), weight: Type.Number(), epochs: Type.Number() })),
    { description: 'All training files, with their shares. Null for a job with only `training_file`.' },
  ),
  validation_files: nullable(Type.Array(Type.Object({ file: Type.String(), name: Type.String() })), {
    description:
      'All validation files, with the names in `eval_<name>_loss`. Null for a job with only `validation_file`.',
  }),
};
