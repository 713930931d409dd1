import { type Static, type TObject, Type } from 'typebox';
import type { Fault } from '../schema/check-fields.ts';

/** What happens to lines that are no examples, or that the model cannot be trained on. */
export type OnBadLines = 'fail' | 'skip';

/** Default of `max_bad_lines`. */
const MAX_BAD_LINES = 100;

/** How data files become examples. Absent from a resolved job where they are off, so that jobs of earlier versions remain unchanged. */
export const dataTraining = {
  columns: Type.Optional(
    Type.Record(Type.String(), Type.String({ minLength: 1, maxLength: 200 }), {
      minProperties: 1,
      maxProperties: 16,
      description:
        'Which column of the data files each field is in, such as {"prompt": "question", "completion": "answer"}; other columns are ignored. Default: the mapping that the training file was uploaded with, or what is recognised.',
    }),
  ),
  on_bad_lines: Type.Optional(
    Type.Enum(['fail', 'skip'], {
      type: 'string',
      description:
        'What happens to lines that are no examples, or that the model cannot be trained on. fail: the job fails and lists them. skip: they are left out, and the job lists them in `data.bad_lines`. Default fail.',
    }),
  ),
  max_bad_lines: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'With on_bad_lines skip: maximum number of bad lines in a file; with more the job fails. Default 100.',
    }),
  ),
};

export type DataTraining = Static<TObject<typeof dataTraining>>;

/** Faults of a request's options that the schemas do not express. */
export function dataFaults({ on_bad_lines, max_bad_lines }: Record<string, unknown>): Fault[] {
  if (max_bad_lines === undefined || on_bad_lines === 'skip') return [];
  const path = 'training.max_bad_lines';
  return [{ code: 'invalid_training_option', path, message: 'needs on_bad_lines: "skip"' }];
}

/** The options that differ from their default. */
export function resolveData({ columns, on_bad_lines, max_bad_lines }: DataTraining): DataTraining {
  const resolved: DataTraining = {};
  if (columns) resolved.columns = columns;
  if (on_bad_lines === 'skip') {
    resolved.on_bad_lines = on_bad_lines;
    resolved.max_bad_lines = max_bad_lines ?? MAX_BAD_LINES;
  }
  return resolved;
}
