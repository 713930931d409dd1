import { Type } from 'typebox';
import { After, createdBetween } from './list.ts';
import { deletedSchema, input, named, namedInput, oneOf, Time } from './schema.ts';

/** A mapping of columns; `parseColumns` checks it. */
export const ColumnsSchema = Type.Record(Type.String(), Type.String(), {
  description:
    'Which column of the file each field is in, such as {"prompt": "question", "completion": "answer"}; other columns are ignored.',
});

export const FileSchema = named('File', {
  id: Type.String(),
  object: Type.Literal('file'),
  bytes: Type.Integer(),
  created_at: Time,
  filename: Type.String(),
  purpose: Type.String({
    description: 'Purpose of the file: `fine-tune`, or `fine-tune-results` for a file created by Graft.',
  }),
  status: oneOf(['uploaded', 'processed', 'error']),
  expires_at: Type.Null(),
  status_details: Type.Null(),
  sha256: Type.String({ description: 'SHA-256 of the content, hexadecimal.' }),
  format: Type.Union([Type.String(), Type.Null()], {
    description: 'Format of the lines: the `name` of one of `formats` in `GET /v1/fine_tuning/options`.',
  }),
  examples: Type.Union([Type.Integer(), Type.Null()], {
    description: 'Number of training examples in the file.',
  }),
  columns: Type.Union([ColumnsSchema, Type.Null()], {
    description: 'The `columns` that the file was uploaded with. Null: as recognised.',
  }),
});

/** Rule for a file with bad lines: `fail` refuses it, `skip` accepts it if it has examples. */
export const OnBadLinesSchema = Type.Optional(
  oneOf(['fail', 'skip'], {
    description:
      'fail: a file with a bad line is rejected, and the error lists the bad lines. skip: it is accepted if it has examples, for jobs with `training.on_bad_lines` skip; its report lists the bad lines. Default fail.',
  }),
);

/** The parts of an upload, documented only: the body is streamed rather than validated as a whole. */
export const UploadSchema = input({
  purpose: Type.Literal('fine-tune'),
  columns: Type.Optional(
    Type.String({
      description:
        'JSON: which column of the file each field is in, such as {"prompt": "question", "completion": "answer"}. Must come before `file`.',
    }),
  ),
  on_bad_lines: OnBadLinesSchema,
  file: Type.Unsafe<unknown>({
    type: 'string',
    format: 'binary',
    description: 'JSON lines, a JSON array, CSV, TSV or Parquet; the first four also with gzip or zstd.',
  }),
});

export const ImportFileSchema = namedInput('ImportFile', {
  purpose: Type.Literal('fine-tune'),
  source: Type.String({
    minLength: 1,
    maxLength: 1024,
    description:
      'A split of a public data set, such as `hf://datasets/organisation/name?split=train`, optionally with `&revision=` and, for a split of several files, `&file=`.',
  }),
  columns: Type.Optional(Type.Union([ColumnsSchema, Type.Null()])),
  on_bad_lines: OnBadLinesSchema,
  expires_after: Type.Optional(Type.Unsafe<unknown>({ description: 'Not supported: files do not expire.' })),
});

export const DeletedFileSchema = deletedSchema('DeletedFile', 'file');

/** Maximum files per page. OpenAI's clients may request 10,000. */
export const maxFiles = 1000;

export const ListFilesQuery = input({
  purpose: Type.Optional(Type.String({ maxLength: 64 })),
  filename: Type.Optional(Type.String({ maxLength: 512 })),
  sha256: Type.Optional(
    Type.String({
      pattern: '^[0-9a-f]{64}$',
      description: 'SHA-256 of the content, hexadecimal: finds files that were uploaded before.',
    }),
  ),
  ...createdBetween,
  order: oneOf(['asc', 'desc'], { default: 'desc' }),
  after: After,
  limit: Type.Integer({
    minimum: 1,
    maximum: 10_000,
    default: maxFiles,
    description: `Maximum number of files per page. At most ${maxFiles} are returned, even if more are requested.`,
  }),
});

export const FileParams = Type.Object({ file_id: Type.String() });
