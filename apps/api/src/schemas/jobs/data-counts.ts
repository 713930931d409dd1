import type { DataCounts } from '@graft/service';
import { type Static, Type } from 'typebox';
import { named, nullable } from '../schema.ts';

const Counts = {
  examples: Type.Integer({ description: 'That are used.' }),
  truncated: Type.Integer({ description: 'Of these, cut to `training.max_seq_length`.' }),
  skipped: Type.Integer({
    description:
      'Skipped: longer than `training.max_seq_length`, or truncated so that no target token remained.',
  }),
  special_tokens: Type.Integer({
    description:
      'In the content of messages, in prompts and in completions: plain text unless `training.allow_special_tokens`.',
  }),
};
/** Counts of the examples in a job's files: used, cut, skipped, overlapping. */
export const DataSchema = named('FineTuningJobData', {
  training: Type.Object(Counts),
  validation: nullable(Type.Object(Counts), { description: 'Null without a validation file.' }),
  longest: nullable(Type.Integer(), {
    description:
      'Tokens of the longest example, and of a soft prompt before it. Null of jobs that an earlier version validated.',
  }),
  overlap: nullable(
    Type.Object({
      prompts: Type.Integer({
        description:
          'With the prompt of a training example: in a chat everything before its first trained answer, otherwise the prompt, the text to classify, or the anchor.',
      }),
      identical: Type.Integer({ description: 'Of these, with the same answer or label, too.' }),
      exact: Type.Boolean({
        description: 'False of training files with more than a million prompts: the counts are estimates.',
      }),
    }),
    {
      description:
        'Validation examples that training has, too, so that the validation loss looks better than it is. Null without a validation file.',
    },
  ),
});

/** Counts in the API's format. Jobs of earlier versions lack the newer counts. */
export function toWireData(counts: DataCounts): Static<typeof DataSchema> {
  return { ...counts, longest: counts.longest ?? null, overlap: counts.overlap ?? null };
}
