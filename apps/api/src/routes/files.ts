import multipart from '@fastify/multipart';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { parseColumns } from '@graft/peft-core/examples';
import { formats } from '@graft/peft-core/formats';
import { requesterOf } from '@graft/service/audit';
import { createFile, deleteFile, type FileRecord, getFile, listFiles } from '@graft/service/files';
import { isDamage, reportCorruption } from '@graft/service/maintenance';
import type { IncomingBytes } from '@graft/service/teams';
import { receiveBytes } from '@graft/service/uploads';
import {
  DeletedFileSchema,
  FileParams,
  FileSchema,
  ImportFileSchema,
  ListFilesQuery,
  maxFiles,
  UploadSchema,
} from '@graft/wire/file';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import type { FastifyReply } from 'fastify';
import { toWireFile } from '../answers/file.ts';
import { createdSpan, toWireList } from '../answers/list.ts';
import { sendDownload } from '../downloads/download.ts';
import { found } from '../not-found.ts';
import { hangUp } from '../serving/answer.ts';
import type { ApiSettings } from '../settings.ts';
import { comingBytes } from '../uploads/coming-bytes.ts';
import { createDataSetReceiver } from '../uploads/receive-data-set.ts';
import { filesAreKept, type ReceivedUpload, receiveUpload } from '../uploads/receive-upload.ts';
import type { UploadChecks } from '../uploads/upload-checks.ts';
import { uploadedFile, writeRow } from '../uploads/write-row.ts';
import { operations } from './operation.ts';

const operation = operations('Files');

const lineFormats = formats.map(({ fields }) => `\`${fields}\``).join(', ');

/** /files: training data as JSON lines. */
export const fileRoutes: FastifyPluginAsyncTypebox<{ settings: ApiSettings; checks: UploadChecks }> = async (
  app,
  { settings, checks },
) => {
  const { services } = app;
  const maxBytes = services.env.maxUploadBytes;
  const dataSets = createDataSetReceiver(services, checks, {
    idleMs: settings.uploadIdleMs,
    wholeMs: settings.requestTimeoutMs,
  });
  app.addHook('preClose', async () => dataSets.close());
  // The store rejects a file over the limit. The parser would truncate it without an error, so the parser has no limit.
  await app.register(multipart, {
    limits: { files: 1, fields: 8, fieldNameSize: 100, fieldSize: 1024, fileSize: Number.POSITIVE_INFINITY },
  });

  const keep = async (reply: FastifyReply, upload: ReceivedUpload, incoming: IncomingBytes) => {
    const { caller } = reply.request;
    const file = { ...upload, ...uploadedFile, ...requesterOf(caller) };
    const write = () => reply.inTurn(() => createFile(services, caller.teamId, file, incoming));
    return toWireFile(await writeRow(write, () => services.files.remove(upload.path)));
  };

  app.post(
    '/files',
    {
      // The store limits the file, the parser the other fields.
      bodyLimit: Number.MAX_SAFE_INTEGER,
      ...operation(
        {
          access: { scope: 'files:write', models: 'none', answer: 'own' },
          longBody: true,
          documentedBody: UploadSchema,
        },
        'Upload a file',
        ref(FileSchema),
        {
          description: `multipart/form-data with \`purpose\` = \`fine-tune\` and \`file\`: JSONL training data, with all lines in the same format: ${lineFormats}. Every invalid line is reported.`,
          consumes: ['multipart/form-data'],
        },
      ),
    },
    async (request, reply) => {
      reply.hold('uploads');
      const { teamId } = request.caller;
      const incoming = await reply.inTurn(() => receiveBytes(services, teamId, comingBytes(request)));
      try {
        const upload = await receiveUpload(request, services.files, checks, incoming, {
          bytes: maxBytes,
          idleMs: settings.uploadIdleMs,
        });
        return await keep(reply, upload, incoming);
      } finally {
        await incoming.end();
      }
    },
  );

  app.post(
    '/files/import',
    operation(
      { access: { scope: 'files:write', models: 'none', answer: 'own' } },
      'Import a data set of the Hub',
      ref(FileSchema),
      {
        description:
          'Fetches a data file of a public data set of the Hugging Face Hub, if the operator allows it (`GRAFT_HUB_DATA_SETS`), with the checks and limits of an upload. The response comes when the file is stored; if the client hangs up before, nothing is stored.',
        body: ref(ImportFileSchema),
        errors: [413],
      },
    ),
    async (request, reply) => {
      reply.hold('uploads');
      // Waits for the Hub.
      reply.endTurn();
      const { source, columns = null, on_bad_lines: onBadLines = 'fail', expires_after } = request.body;
      if (expires_after !== undefined && expires_after !== null) throw filesAreKept();
      const { teamId } = request.caller;
      return await dataSets.receive(
        { teamId, source, columns: columns && parseColumns(columns), onBadLines, signal: hangUp(reply) },
        async (bytes) => await receiveBytes(services, teamId, bytes),
        async (upload, incoming) => await keep(reply, upload, incoming),
      );
    },
  );

  app.get(
    '/files',
    operation({ access: { scope: 'files:read', models: 'none' } }, 'List files', listOf(FileSchema), {
      querystring: ListFilesQuery,
    }),
    async (request) => {
      const limit = Math.min(request.query.limit, maxFiles);
      const page = await listFiles(services, request.caller.teamId, {
        ...request.query,
        created: createdSpan(request.query),
        limit,
      });
      return toWireList(page, toWireFile);
    },
  );

  const find = async (teamId: string, id: string): Promise<FileRecord> =>
    found(await getFile(services, teamId, id), 'file', id);

  app.get(
    '/files/:file_id',
    operation({ access: { scope: 'files:read', models: 'none' } }, 'Get a file', ref(FileSchema), {
      params: FileParams,
    }),
    async ({ caller, params }) => toWireFile(await find(caller.teamId, params.file_id)),
  );

  app.delete(
    '/files/:file_id',
    operation(
      { access: { scope: 'files:write', models: 'none', answer: 'own' } },
      'Delete a file',
      ref(DeletedFileSchema),
      { params: FileParams },
    ),
    async ({ caller, params: { file_id: id } }) => {
      found(await deleteFile(services, caller.teamId, id, caller), 'file', id);
      return { id, object: 'file' as const, deleted: true as const };
    },
  );

  app.get(
    '/files/:file_id/content',
    {
      config: { access: { scope: 'files:read', models: 'none' } },
      schema: {
        tags: ['Files'],
        summary: 'Download a file',
        description: 'Returns the bytes as uploaded, with Range, ETag and digest as for adapters.',
        produces: ['application/octet-stream'],
        params: FileParams,
      },
    },
    async (request, reply) => {
      const file = await find(request.caller.teamId, request.params.file_id);
      const download = {
        filename: file.filename,
        contentType: 'application/octet-stream',
        bytes: file.bytes,
        sha256: file.sha256,
        read: async (start: number, end: number) =>
          await services.files.open(file, { start, end: end - 1 }).catch(async (error: unknown) => {
            const { teamId, id } = file;
            if (isDamage(error)) await reportCorruption(services, { kind: 'file', teamId, id }, error);
            throw error;
          }),
      };
      return await sendDownload(request, reply, download, { action: 'file.download', target: file.id });
    },
  );
};
