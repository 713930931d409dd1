import multipart from '@fastify/multipart';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { parseColumns } from '@graft/peft-core/examples';
import { type FileRecord, getFile } from '@graft/service/files';
import {
  addPart,
  cancelUpload,
  createUpload,
  getUpload,
  listParts,
  listUploads,
  receivePartBytes,
  type Upload,
  type UploadPart,
} from '@graft/service/uploads';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import {
  CompleteUploadSchema,
  CreateUploadSchema,
  ListPartsQuery,
  ListUploadsQuery,
  PartBodySchema,
  UploadObjectSchema,
  UploadParams,
  UploadPartSchema,
} from '@graft/wire/upload';
import type { Static } from 'typebox';
import { toWireFile } from '../answers/file.ts';
import { toWireList, unixSeconds } from '../answers/list.ts';
import { ApiError } from '../api-error.ts';
import { found } from '../not-found.ts';
import type { ApiSettings } from '../settings.ts';
import { comingBytes } from '../uploads/coming-bytes.ts';
import { completeParts } from '../uploads/complete-parts.ts';
import { receivePart } from '../uploads/receive-part.ts';
import { cleanName, filesAreKept } from '../uploads/receive-upload.ts';
import type { UploadChecks } from '../uploads/upload-checks.ts';
import { writeRow } from '../uploads/write-row.ts';
import { operations } from './operation.ts';

const operation = operations('Uploads');
const reading = { access: { scope: 'files:read', models: 'none' } } as const;
const writing = { access: { scope: 'files:write', models: 'none', answer: 'own' } } as const;
const cancelling = { access: { ...writing.access, answer: 'files:read' } } as const;

/** /uploads: training data uploaded in parts, which survive a broken connection. */
export const uploadRoutes: FastifyPluginAsyncTypebox<{
  settings: ApiSettings;
  checks: UploadChecks;
}> = async (app, { settings, checks }) => {
  const { services } = app;
  const maxBytes = services.env.maxUploadBytes;
  // The store rejects a part over the limit. The parser would truncate it without an error, so the parser has no limit.
  await app.register(multipart, {
    limits: { files: 1, fields: 2, fieldNameSize: 100, fieldSize: 1024, fileSize: Number.POSITIVE_INFINITY },
  });

  const find = async (teamId: string, id: string): Promise<Upload> =>
    found(await getUpload(services, teamId, id), 'upload', id);

  app.post(
    '/uploads',
    operation(writing, 'Create an upload', ref(UploadObjectSchema), {
      description:
        'Then upload parts, in any order and concurrently, and complete the upload. An upload that is not completed expires at `expires_at`.',
      body: ref(CreateUploadSchema),
    }),
    async (request) => {
      const { filename, bytes, mime_type: mimeType, expires_after } = request.body;
      if (expires_after !== undefined && expires_after !== null) throw filesAreKept();
      if (bytes > maxBytes) {
        throw new ApiError('file_too_large', `A file has at most ${maxBytes} bytes.`, { param: 'bytes' });
      }
      const { teamId, keyId } = request.caller;
      const seconds = settings.uploadExpirySeconds;
      const about = { filename: cleanName(filename), bytes, mimeType, keyId, seconds };
      return toWireUpload(await createUpload(services, teamId, about, { most: settings.openUploads }));
    },
  );

  app.get(
    '/uploads',
    operation(reading, 'List uploads', listOf(UploadObjectSchema), {
      description: 'Newest first, without `file`, which is returned only for a single upload.',
      querystring: ListUploadsQuery,
    }),
    async ({ caller, query }) =>
      toWireList(await listUploads(services, caller.teamId, query), (upload) => toWireUpload(upload)),
  );

  app.get(
    '/uploads/:upload_id',
    operation(reading, 'Get an upload', ref(UploadObjectSchema), { params: UploadParams }),
    async ({ caller: { teamId }, params }) => {
      const upload = await find(teamId, params.upload_id);
      const { fileId } = upload;
      return toWireUpload(upload, fileId === null ? null : await getFile(services, teamId, fileId));
    },
  );

  app.get(
    '/uploads/:upload_id/parts',
    operation(reading, 'List the parts of an upload', listOf(UploadPartSchema), {
      description: 'In the order in which they were received. An upload that is no longer pending has none.',
      params: UploadParams,
      querystring: ListPartsQuery,
    }),
    async ({ caller: { teamId }, params, query }) => {
      const { id } = await find(teamId, params.upload_id);
      return toWireList(await listParts(services, teamId, id, query), toWirePart);
    },
  );

  app.post(
    '/uploads/:upload_id/parts',
    {
      // The store limits the part.
      bodyLimit: Number.MAX_SAFE_INTEGER,
      ...operation(
        { ...writing, longBody: true, documentedBody: PartBodySchema },
        'Upload a part',
        ref(UploadPartSchema),
        {
          description:
            'multipart/form-data with `data`, at most 64 MiB. Sending the same bytes again returns the same part, so it is safe to retry.',
          consumes: ['multipart/form-data'],
          params: UploadParams,
        },
      ),
    },
    async (request, reply) => {
      reply.hold('uploads');
      const { teamId } = request.caller;
      const upload = await find(teamId, request.params.upload_id);
      if (upload.status !== 'pending') throw uploadOver(upload);
      const expected = { uploadId: upload.id, announced: comingBytes(request) };
      const incoming = await receivePartBytes(services, teamId, expected);
      try {
        const received = await receivePart(request, services.files, upload, incoming, {
          idleMs: settings.uploadIdleMs,
        });
        const remove = async () => received.path !== null && (await services.files.remove(received.path));
        const added = await writeRow(async () => {
          const add = () => addPart(services, teamId, upload.id, received, incoming);
          return found(await reply.inTurn(add), 'upload', upload.id);
        }, remove);
        // The same bytes were sent before.
        if (added.path !== received.path) await remove().catch(() => {});
        return toWirePart(added);
      } finally {
        await incoming.end();
      }
    },
  );

  app.post(
    '/uploads/:upload_id/complete',
    operation(writing, 'Complete an upload', ref(UploadObjectSchema), {
      description:
        'Creates the file from the parts, in the given order. Together they must have the announced number of bytes, and every line must be a training example. Repeating the request returns the same file.',
      params: UploadParams,
      body: ref(CompleteUploadSchema),
    }),
    async (request, reply) => {
      reply.hold('uploads');
      // Reading and writing the parts does not use Postgres.
      reply.endTurn();
      const { upload_id: uploadId } = request.params;
      const {
        part_ids: partIds,
        md5,
        columns: given = null,
        on_bad_lines: onBadLines = 'fail',
      } = request.body;
      const completion = { uploadId, partIds, md5, columns: given && parseColumns(given), onBadLines };
      const waitMs = settings.completionWaitMs;
      const done = await completeParts(services, checks, request.caller, completion, { waitMs });
      const { upload, file } = found(done, 'upload', uploadId);
      return toWireUpload(upload, file);
    },
  );

  app.post(
    '/uploads/:upload_id/cancel',
    operation(cancelling, 'Cancel an upload', ref(UploadObjectSchema), {
      description: 'Deletes its parts. An upload that is being completed ends without a file.',
      params: UploadParams,
    }),
    async ({ caller, params: { upload_id: id } }) =>
      toWireUpload(found(await cancelUpload(services, caller.teamId, id, caller), 'upload', id)),
  );
};

function uploadOver({ status }: Upload): ApiError {
  return new ApiError('invalid_upload_state', `The upload is ${status}; create another one.`);
}

function toWireUpload(upload: Upload, file: FileRecord | null = null): Static<typeof UploadObjectSchema> {
  const { id, bytes, filename, purpose, status } = upload;
  return {
    id,
    bytes,
    filename,
    purpose,
    status,
    object: 'upload',
    created_at: unixSeconds(upload.createdAt),
    expires_at: unixSeconds(upload.expiresAt),
    file: file && toWireFile(file),
    mime_type: upload.mimeType,
    received_bytes: upload.receivedBytes,
    parts: upload.partCount,
  };
}

function toWirePart(part: UploadPart): Static<typeof UploadPartSchema> {
  const { id, bytes, sha256 } = part;
  return {
    id,
    bytes,
    sha256,
    object: 'upload.part',
    created_at: unixSeconds(part.createdAt),
    upload_id: part.uploadId,
  };
}
