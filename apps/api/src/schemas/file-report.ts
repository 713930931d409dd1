import type { FileRecord, FileReport } from '@graft/service';
import { type Static, Type } from 'typebox';
import { LineFaultFields } from './error.ts';
import { input, named, nullable, ref, Time, unixSeconds } from './schema.ts';

const count = (description?: string) => Type.Integer({ minimum: 0, ...(description ? { description } : {}) });

const BadLines = Type.Object({
  count: count(),
  listed: Type.Array(Type.Object({ ...LineFaultFields, line: count() }), {
    description: 'Each fault once, with all lines that have it.',
  }),
});

const Lengths = Type.Object({
  min: count(),
  max: count(),
  mean: Type.Number(),
  p50: count(),
  p90: count(),
  p99: count(),
  histogram: Type.Array(Type.Object({ from: count(), to: count('Included.'), examples: count() })),
});

const Preview = Type.Object({
  line: count(),
  label: nullable(Type.String(), { description: 'Of a whole text.' }),
  sequences: Type.Array(
    Type.Object({
      role: Type.Enum(['text', 'input', 'target'], { type: 'string' }),
      tokens: Type.Array(
        Type.Object({
          id: count(),
          text: Type.String({
            description:
              'What the token adds to the text. Empty where it is only the beginning of a character, which the token that completes the character shows whole.',
          }),
          learnt: Type.Boolean({ description: 'Whether the loss is computed on it.' }),
        }),
      ),
      left_out: count('Tokens that are not shown: of each sequence the first 512 are.'),
    }),
  ),
});

const Tokens = named('FileReportTokens', {
  task: Type.String({ description: 'What the model would be trained for: CAUSAL_LM and so on.' }),
  total: count('Of all examples, as one epoch counts them.'),
  learnt: nullable(count(), { description: 'That the loss is computed on; null where it is not on tokens.' }),
  lengths: nullable(Lengths, { description: 'Of examples, in tokens.' }),
  max_seq_length: count(),
  too_long: Type.Object(
    {
      count: count(),
      listed: Type.Array(Type.Object({ line: count(), tokens: count() })),
    },
    {
      description:
        'Examples over `max_seq_length`. A job splits plain texts and refuses others, or cuts or skips them with `training.overlong`.',
    },
  ),
  special_tokens: Type.Object(
    {
      count: count(),
      listed: Type.Array(Type.Object({ line: count(), count: count() })),
    },
    {
      description:
        'Special tokens in the content of messages, in prompts and in completions. A job reads them as plain text, unless `training.allow_special_tokens`.',
    },
  ),
  preview: Type.Array(Preview, { description: 'Three examples as the model sees them.' }),
});

const Result = named(
  'FileReportResult',
  {
    format: nullable(Type.String()),
    lines: count('Empty ones included.'),
    examples: count(),
    bad_lines: BadLines,
    duplicates: Type.Object(
      {
        count: count(),
        exact: Type.Boolean({
          description: 'False if there are too many different examples to count exactly.',
        }),
        listed: Type.Array(Type.Object({ line: count(), first_line: count() })),
      },
      { description: 'Examples that an earlier line has.' },
    ),
    tokens: nullable(ref(Tokens), { description: 'Null when no model was named.' }),
  },
  { description: 'Lists have a hundred entries at most; counts are of all.' },
);

const Fault = Type.Object({
  code: Type.String(),
  message: Type.String(),
  param: nullable(Type.String()),
});

export const FileReportSchema = named('FileReport', {
  object: Type.Literal('file.report'),
  file_id: Type.String(),
  model: nullable(Type.String()),
  max_seq_length: nullable(Type.Integer(), { description: 'As requested.' }),
  status: Type.Enum(['running', 'ready', 'failed'], { type: 'string' }),
  progress: nullable(Type.Object({ bytes: count(), total_bytes: count(), examples: count() })),
  report: nullable(ref(Result), { description: 'Once it is ready.' }),
  error: nullable(Fault),
  created_at: Time,
  finished_at: nullable(Time),
});

export const FileReportQuery = input({
  model: Type.Optional(
    Type.String({ minLength: 1, maxLength: 256, description: 'A base model whose tokens are counted.' }),
  ),
  max_seq_length: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_048_576,
      description: 'By default the most that training takes: the context of the model.',
    }),
  ),
});

export function toWireFileReport(file: FileRecord, report: FileReport): Static<typeof FileReportSchema> {
  const { model, status, progress, result, error } = report;
  return {
    object: 'file.report',
    file_id: file.id,
    model,
    max_seq_length: report.maxSeqLength,
    status,
    progress:
      status === 'running' && progress
        ? { bytes: progress.bytes, total_bytes: progress.totalBytes, examples: progress.examples }
        : null,
    report: result,
    error: error && { code: error.code, message: error.message, param: error.param },
    created_at: unixSeconds(report.createdAt),
    finished_at: report.finishedAt && unixSeconds(report.finishedAt),
  };
}
