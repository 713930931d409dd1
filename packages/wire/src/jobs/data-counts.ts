import { Type } from 'typebox';
import { named, nullable, optional } from '../schema.ts';

/** Counts of the examples of a file, or of several. */
export const Counts = {
  examples: Type.Integer({ description: 'Number of examples used.' }),
  truncated: Type.Integer({
    description: 'Number of the used examples that are truncated to `training.max_seq_length`.',
  }),
  skipped: Type.Integer({
    description:
      'Number of examples skipped because they are longer than `training.max_seq_length`, or because truncation left no target token.',
  }),
  special_tokens: Type.Integer({
    description:
      'Number of special tokens in the content of messages, in prompts and in completions. They are treated as plain text unless `training.allow_special_tokens` is true.',
  }),
  ...optional({
    zero_weight: Type.Integer({
      description: 'Number of examples of weight 0, which are checked and left out. Absent without any.',
    }),
    bad_lines: Type.Integer({
      description: 'Number of bad lines that were left out (`training.on_bad_lines`). Absent without any.',
    }),
  }),
};
const OverlapSchema = Type.Object({
  prompts: Type.Integer({
    description:
      'Number of validation examples with the prompt of a training example. The prompt of a chat is everything before the first trained assistant message; otherwise it is the prompt, the text to classify, or the anchor.',
  }),
  identical: Type.Integer({
    description: 'Number of these examples that also have the same answer or label.',
  }),
  exact: Type.Boolean({
    description:
      'Whether the counts are exact. False for training files with more than a million prompts: the counts are then estimates.',
  }),
});

/** Counts of the examples in a job's files: used, cut, skipped, overlapping. */
export const DataSchema = named('FineTuningJobData', {
  training: Type.Object(Counts, { description: 'Counts for the training file, or all training files.' }),
  validation: nullable(Type.Object(Counts), {
    description: 'Counts for the validation file, or all validation files. Null without one.',
  }),
  longest: nullable(Type.Integer(), {
    description:
      'Length of the longest example in tokens, including a soft prompt. Null for jobs that an earlier version validated.',
  }),
  overlap: nullable(OverlapSchema, {
    description:
      'Validation examples that also occur in the training data and make the validation loss look better than it is. Null without a validation file.',
  }),
  training_files: nullable(Type.Array(Type.Object(Counts)), {
    description: 'Counts for each of `training_files`, in order. Null for a job with only `training_file`.',
  }),
  validation_files: nullable(Type.Array(Type.Object({ ...Counts, overlap: nullable(OverlapSchema) })), {
    description:
      'Counts for each of `validation_files`, in order, and its overlap with the training data. Null for a job with only `validation_file`.',
  }),
  bad_lines: Type.Array(
    Type.Object({
      file: Type.String({ description: 'The file: `training_file`, or `training_files[1]`.' }),
      line: Type.Integer({ description: 'Number of the line, from 1.' }),
      message: Type.String(),
      count: Type.Optional(Type.Integer({ description: 'Number of lines with this fault. Absent for one.' })),
      lines: Type.Optional(
        Type.Array(Type.Array(Type.Integer()), {
          description: 'Ranges of lines with this fault, [first, last].',
        }),
      ),
    }),
    {
      description:
        'Bad lines that `training.on_bad_lines` skip left out: at most ten faults of each file. The report of the file has all.',
    },
  ),
  unread_columns: Type.Array(
    Type.Object({
      file: Type.String({ description: 'The file: `training_file`, or `training_files[1]`.' }),
      name: Type.String(),
      values: Type.Integer({ description: 'Number of rows with a value in it.' }),
    }),
    {
      description:
        'Columns that no example reads, at most twenty of each file. Rename those that belong to the examples, or map them (`training.columns`).',
    },
  ),
  duplicates: nullable(
    Type.Object({
      within: Type.Integer({
        description: 'Number of training examples that occur earlier in the same file, word for word.',
      }),
      across: Type.Integer({
        description: 'Number of other training examples that occur in an earlier file.',
      }),
      exact: Type.Boolean({
        description:
          'Whether the counts are exact. False for more than a million examples: they are then estimates.',
      }),
    }),
    {
      description:
        'Training examples of `training_files` that occur again. They are trained on each time. Null for a job with only `training_file`, whose file report has them.',
    },
  ),
});
