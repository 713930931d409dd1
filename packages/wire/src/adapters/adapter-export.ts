import { exportFormatNames, exportFormats } from '@graft/peft-core/exports';
import { Type } from 'typebox';
import { AdapterVersionParams } from '../adapter.ts';
import { After, limit } from '../list.ts';
import { exportStatuses } from '../lists.ts';
import { deletedSchema, input, named, namedInput, nullable, oneOf, Time } from '../schema.ts';

const FormatName = Type.String({
  minLength: 1,
  maxLength: 64,
  description: `Name of the format: ${exportFormats.map(({ name, title }) => `\`${name}\` (${title})`).join(', ')}.`,
  examples: [exportFormatNames[0]],
});

const Options = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  description:
    'Options of the format, as `GET …/exports/formats` and docs/adapters.md describe them. An option that is omitted has its default.',
});

export const AdapterExportSchema = named('AdapterExport', {
  id: Type.String(),
  object: Type.Literal('adapter.export'),
  created_at: Time,
  adapter_id: Type.String(),
  version: Type.Integer({ minimum: 1 }),
  status: oneOf(exportStatuses),
  format: Type.String(),
  options: Type.Unsafe<Record<string, unknown>>({
    type: 'object',
    description: 'All options of the format, with defaults.',
  }),
  progress: nullable(
    Type.Object({
      bytes: Type.Integer({ description: 'Bytes written so far.' }),
      total_bytes: nullable(Type.Integer(), {
        description: 'Expected bytes. Null while the export is prepared.',
      }),
    }),
    { description: 'Progress while it is `running`, otherwise null.' },
  ),
  bytes: nullable(Type.Integer(), { description: 'Bytes of its files. Null until it has succeeded.' }),
  reserved_bytes: Type.Integer({
    description:
      'Bytes that the files have at most. They count towards the quota until the files are written.',
  }),
  files: Type.Array(
    Type.Object({
      path: Type.String(),
      bytes: Type.Integer(),
      sha256: Type.String(),
      download_path: Type.String({ description: 'Path on this server that returns this file.' }),
    }),
    { description: 'Its files. Empty until it has succeeded.' },
  ),
  notes: Type.Array(Type.String(), {
    description: 'What was changed to fit the format, such as values that were baked in or padded.',
  }),
  error: nullable(
    Type.Object({ code: Type.String(), message: Type.String(), param: nullable(Type.String()) }),
    {
      description:
        'Why it failed. While it is `queued` again after a temporary error, that error. Otherwise null.',
    },
  ),
  keep: Type.Boolean({ description: 'Whether it never expires.' }),
  expires_at: nullable(Time, {
    description: 'When it is removed. Null while it is queued or running, and if `keep` is true.',
  }),
  started_at: nullable(Time, { description: 'When the last attempt to write it started.' }),
  finished_at: nullable(Time),
  download_path: nullable(Type.String(), {
    description: 'Path on this server that returns all files as a tar archive. Null until it has succeeded.',
  }),
});

export const CreateExportSchema = namedInput('CreateAdapterExport', {
  format: FormatName,
  options: Type.Optional(Options),
  keep: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'Keep it until it is deleted, instead of letting it expire.',
    }),
  ),
});

export const ChangeExportSchema = namedInput('ChangeAdapterExport', {
  keep: Type.Boolean({
    description: 'True: it never expires. False: it expires after the usual time from now.',
  }),
});

export const DeletedExportSchema = deletedSchema('DeletedAdapterExport', 'adapter.export');

export const ExportParams = Type.Object({ ...AdapterVersionParams.properties, export_id: Type.String() });
export const ListExportsQuery = input({ after: After, limit: limit(20, 100) });
export const DownloadExportQuery = input({
  path: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 512,
      description: 'Path of one of its files, which is returned instead of an archive of all.',
    }),
  ),
});

export const ExportFormatListSchema = named('AdapterExportFormatList', {
  object: Type.Literal('list'),
  data: Type.Array(
    Type.Object({
      name: Type.String(),
      object: Type.Literal('adapter.export_format'),
      title: Type.String(),
      summary: Type.String({ description: 'What the format is for.' }),
      runtimes: Type.Array(Type.String(), { description: 'Programs that read the files.' }),
      options: Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        description: 'JSON Schema of the options, with defaults and descriptions.',
      }),
      refusal: nullable(Type.String(), {
        description:
          'Why this version cannot be exported in this format with default options. Null if it can.',
      }),
      bytes: nullable(Type.Integer(), {
        description:
          'Bytes that the files have at most, with default options. Null if it cannot be exported so.',
      }),
    }),
  ),
  has_more: Type.Literal(false),
});
