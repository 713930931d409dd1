import { Type } from 'typebox';
import { ColumnsSchema, FileSchema, OnBadLinesSchema } from './file.ts';
import { After, limit } from './list.ts';
import { maxPartBytes, maxParts } from './lists.ts';
import { input, named, namedInput, nullable, oneOf, ref, Time } from './schema.ts';

const statuses = ['pending', 'completed', 'cancelled', 'expired'] as const;

export const UploadObjectSchema = named('Upload', {
  id: Type.String(),
  object: Type.Literal('upload'),
  bytes: Type.Integer({
    description: 'Size of the whole file in bytes, as given when the upload was created.',
  }),
  created_at: Time,
  expires_at: Time,
  filename: Type.String(),
  purpose: Type.String(),
  status: oneOf(statuses),
  file: nullable(ref(FileSchema), {
    description:
      'File of a completed upload. Null if the upload is not completed or the file was deleted, and in lists.',
  }),
  mime_type: Type.String(),
  received_bytes: Type.Integer({ description: 'Number of bytes received so far, in distinct parts.' }),
  parts: Type.Integer({ description: 'Number of parts received so far.' }),
});

export const UploadPartSchema = named('UploadPart', {
  id: Type.String(),
  object: Type.Literal('upload.part'),
  created_at: Time,
  upload_id: Type.String(),
  bytes: Type.Integer(),
  sha256: Type.String({
    description: 'SHA-256 of the part, hexadecimal. Compare it to find parts that need not be sent again.',
  }),
});

export const CreateUploadSchema = namedInput('CreateUpload', {
  filename: Type.String({ minLength: 1, maxLength: 1024 }),
  purpose: Type.Literal('fine-tune'),
  bytes: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  mime_type: Type.String({
    maxLength: 127,
    pattern: '^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+$',
    description:
      'MIME type, such as `text/jsonl`. It is not checked; the lines of the file must be training examples.',
  }),
  expires_after: Type.Optional(Type.Unsafe<unknown>({ description: 'Not supported: files do not expire.' })),
});

/** The body of a part, documented only: it is streamed. */
export const PartBodySchema = input({
  data: Type.Unsafe<unknown>({
    type: 'string',
    format: 'binary',
    description: `Part of the file, at most ${maxPartBytes} bytes.`,
  }),
});

export const CompleteUploadSchema = namedInput('CompleteUpload', {
  part_ids: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
    minItems: 1,
    maxItems: maxParts,
    description: 'Ids of the parts, in the order in which they form the file.',
  }),
  md5: Type.Optional(
    Type.String({ pattern: '^[0-9A-Fa-f]{32}$', description: 'MD5 of the whole file, hexadecimal.' }),
  ),
  columns: Type.Optional(Type.Union([ColumnsSchema, Type.Null()])),
  on_bad_lines: OnBadLinesSchema,
});

export const UploadParams = Type.Object({ upload_id: Type.String() });

export const ListUploadsQuery = input({
  after: After,
  limit: limit(20, 100),
  status: Type.Optional(oneOf(statuses)),
});

export const ListPartsQuery = input({ after: After, limit: limit(100, maxParts) });
