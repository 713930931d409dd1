import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  checkExport,
  type ExportedAdapter,
  exportFormat,
  exportFormats,
  parseExportOptions,
} from '@graft/peft-core/exports';
import type { AdapterVersion } from '@graft/service/adapters';
import { checkPermitted } from '@graft/service/base-models';
import {
  type AdapterExport,
  cancelExport,
  createExport,
  deleteExport,
  getExport,
  keepExport,
  listExports,
} from '@graft/service/exports';
import type { Identity } from '@graft/service/keys';
import { AdapterVersionParams } from '@graft/wire/adapter';
import {
  AdapterExportSchema,
  ChangeExportSchema,
  CreateExportSchema,
  DeletedExportSchema,
  DownloadExportQuery,
  ExportFormatListSchema,
  ExportParams,
  ListExportsQuery,
} from '@graft/wire/adapters/adapter-export';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import type { Static } from 'typebox';
import { toWireList, unixSeconds } from '../../answers/list.ts';
import { ApiError } from '../../api-error.ts';
import { sendDownload } from '../../downloads/download.ts';
import { createExportDownloads } from '../../downloads/export-download.ts';
import { openBaseModel } from '../../jobs/open-base-model.ts';
import { found } from '../../not-found.ts';
import { operations } from '../operation.ts';
import { findVersion } from './find-adapter.ts';

const operation = operations('Exports');
const reads = { access: { scope: 'adapters:read', models: 'version' } } as const;
const writes = { access: { scope: 'adapters:write', models: 'version', answer: 'adapters:read' } } as const;
const chatTemplateName = 'chat_template.jinja';
const path = '/adapters/:adapter_id/versions/:version/exports';

/** Milliseconds to open a base model that is not on this machine yet. */
const openModelPatience = 20_000;

/** …/versions/{n}/exports: adapter versions in the formats of other programs, written by workers. */
export const exportRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;
  const downloadOf = createExportDownloads(services);

  /** Throws `adapter_not_found`, `adapter_version_not_found`, `export_not_found`. */
  async function find(
    { teamId }: Identity,
    params: { adapter_id: string; version: number; export_id: string },
  ): Promise<{ version: AdapterVersion; made: AdapterExport }> {
    const version = await findVersion(services, teamId, params);
    const { export_id: id } = params;
    return {
      version,
      made: found(await getExport(services, teamId, { versionId: version.id, id }), 'export', id),
    };
  }

  /** Reads what formats have to know. Throws `model_not_permitted`, `model_not_found`, `base_model_unavailable`. */
  async function describe(version: AdapterVersion): Promise<ExportedAdapter> {
    const { baseModel, peft: config, bytes: adapterBytes } = version;
    await checkPermitted(services.baseModels, version);
    const patience = AbortSignal.timeout(openModelPatience);
    const model = await openBaseModel(services, baseModel, patience);
    if (!model && patience.aborted)
      throw new ApiError(
        'service_unavailable',
        `The base model ${baseModel} is still being fetched; try again.`,
        { headers: { 'retry-after': '20' } },
      );
    if (!model)
      throw new ApiError(
        'model_not_found',
        `The base model ${baseModel} is not on this server any more, so the version cannot be exported: ask its operator to add it.`,
        { status: 400, param: 'version' },
      );
    const { config: modelConfig, tensors, smallFiles } = model;
    const own = await ownTemplate(version);
    const chatTemplate = own ?? smallFiles.chatTemplate;
    const smallFileBytes = smallFiles.bytes + Buffer.byteLength(own ?? '');
    return { config, modelConfig, tensors, chatTemplate, adapterBytes, smallFileBytes };
  }

  /** Reads the chat template that an adapter brings, of at most 128 KiB. Null: it uses the base model's. */
  async function ownTemplate({ artifact, files }: AdapterVersion): Promise<string | null> {
    if (!files.some(({ path }) => path === chatTemplateName)) return null;
    const chunks: Buffer[] = [];
    for await (const chunk of await services.artifacts.open(artifact, chatTemplateName)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  app.get(
    `${path}/formats`,
    operation(reads, 'List the formats of exports', ref(ExportFormatListSchema), {
      description: 'Returns every format, with the reason if this version cannot be exported in it.',
      params: AdapterVersionParams,
    }),
    async ({ caller, params }, reply) => {
      const version = await findVersion(services, caller.teamId, params);
      const adapter = await reply.withoutTurn(() => describe(version));
      const data = exportFormats.map((format) => {
        const options = parseExportOptions(format);
        const refusal = format.refusal(adapter, options);
        return {
          name: format.name,
          object: 'adapter.export_format' as const,
          title: format.title,
          summary: format.summary,
          runtimes: [...format.runtimes],
          options: format.options as unknown as Record<string, unknown>,
          refusal: refusal?.message ?? null,
          bytes: refusal ? null : Math.ceil(format.bytes(adapter, options)),
        };
      });
      return { object: 'list' as const, data, has_more: false as const };
    },
  );

  app.post(
    path,
    operation(writes, 'Create an export', ref(AdapterExportSchema), {
      errors: [429],
      description:
        'A worker writes the files; `GET …/exports/{export_id}` shows the progress. If the version already has an export with the same format and options that is queued, running or has succeeded, that one is returned, and its time until it expires starts again. So repeating a request is safe, with or without an Idempotency-Key.',
      params: AdapterVersionParams,
      body: ref(CreateExportSchema),
    }),
    async ({ caller, params, body }, reply) => {
      const version = await findVersion(services, caller.teamId, params);
      const format = exportFormat(body.format);
      const options = parseExportOptions(format, body.options, { system: version.systemPrompt });
      const adapter = await reply.withoutTurn(() => describe(version));
      checkExport(format, adapter, options);
      await app.checkBudget(caller.teamId);
      const request = {
        versionId: version.id,
        format: format.name,
        options,
        reservedBytes: Math.ceil(format.bytes(adapter, options)),
        keep: body.keep ?? false,
      };
      const { made, created } = await createExport(services, caller.teamId, request, caller);
      if (!created) reply.header('idempotent-replayed', 'true');
      return toWireExport(made, version);
    },
  );

  app.get(
    path,
    operation(reads, 'List the exports of a version', listOf(AdapterExportSchema), {
      description: 'Newest first.',
      params: AdapterVersionParams,
      querystring: ListExportsQuery,
    }),
    async ({ caller, params, query }) => {
      const version = await findVersion(services, caller.teamId, params);
      const page = await listExports(services, caller.teamId, version.id, query);
      return toWireList(page, (made) => toWireExport(made, version));
    },
  );

  app.get(
    `${path}/:export_id`,
    operation(reads, 'Get an export', ref(AdapterExportSchema), { params: ExportParams }),
    async ({ caller, params }) => {
      const { version, made } = await find(caller, params);
      return toWireExport(made, version);
    },
  );

  app.get(
    `${path}/:export_id/download`,
    {
      config: reads,
      schema: {
        tags: ['Exports'],
        summary: 'Download an export',
        description:
          'Returns one file, or a tar of all files, always with the same bytes. Supports Range, If-Range, ETag and If-None-Match; `Repr-Digest` and `X-Content-SHA256` contain the SHA-256 of everything. For large exports prefer single files: the digest of a tar is computed before its first byte is sent.',
        produces: ['application/octet-stream'],
        params: ExportParams,
        querystring: DownloadExportQuery,
      },
    },
    async (request, reply) => {
      const { version, made } = await find(request.caller, request.params);
      await checkPermitted(services.baseModels, version);
      if (!made.stored)
        throw new ApiError('export_not_ready', `The export is ${made.status}, so it has no files.`, {
          param: 'export_id',
        });
      const name = `${version.adapterName}-v${version.number}-${made.format}`;
      // The files may have to be fetched from a bucket first, and are digested once.
      reply.endTurn();
      const { path = null } = request.query;
      const download = await downloadOf(made, made.stored, { name, path });
      return await sendDownload(request, reply, download, {
        action: 'export.download',
        target: made.id,
        path,
      });
    },
  );

  app.post(
    `${path}/:export_id`,
    operation(writes, 'Keep an export, or let it expire', ref(AdapterExportSchema), {
      params: ExportParams,
      body: ref(ChangeExportSchema),
    }),
    async ({ caller, params, body }) => {
      const { version, made } = await find(caller, params);
      const kept = await keepExport(services, made, body.keep, caller);
      return toWireExport(found(kept, 'export', made.id), version);
    },
  );

  app.post(
    `${path}/:export_id/cancel`,
    operation(writes, 'Cancel an export', ref(AdapterExportSchema), {
      description: 'Cancels a queued or running export; nothing of it remains stored.',
      params: ExportParams,
    }),
    async ({ caller, params }) => {
      const { version, made } = await find(caller, params);
      const cancelled = await cancelExport(services, made, caller);
      if (cancelled) return toWireExport(cancelled, version);
      const { status } = (await find(caller, params)).made;
      throw new ApiError(
        'export_not_cancellable',
        `The export is ${status}: only a queued or running one can be cancelled.`,
        { param: 'export_id' },
      );
    },
  );

  app.delete(
    `${path}/:export_id`,
    operation(
      { access: { scope: 'adapters:write', models: 'version', answer: 'own' } },
      'Delete an export',
      ref(DeletedExportSchema),
      {
        description: 'Removes the export with its files. A queued or running one is cancelled first.',
        params: ExportParams,
      },
    ),
    async ({ caller, params }, reply) => {
      const { made } = await find(caller, params);
      const artifact = await deleteExport(services, made, caller);
      found(artifact !== undefined, 'export', made.id);
      reply.endTurn();
      // If the store is unavailable, the collector removes the files a day later.
      if (artifact) await services.exports.remove(artifact).catch(() => {});
      return { id: made.id, object: 'adapter.export' as const, deleted: true as const };
    },
  );
};

function toWireExport(
  made: AdapterExport,
  { adapterId, number }: { adapterId: string; number: number },
): Static<typeof AdapterExportSchema> {
  const { stored, status, error } = made;
  const path = `/v1/adapters/${adapterId}/versions/${number}/exports/${made.id}/download`;
  const shownError = status === 'failed' || status === 'queued' ? error : null;
  return {
    id: made.id,
    object: 'adapter.export',
    created_at: unixSeconds(made.createdAt),
    adapter_id: adapterId,
    version: number,
    status,
    format: made.format,
    options: made.options,
    progress: status === 'running' ? { bytes: made.done, total_bytes: made.total } : null,
    bytes: stored?.bytes ?? null,
    reserved_bytes: made.reservedBytes,
    files: (stored?.files ?? []).map((file) => ({
      ...file,
      download_path: `${path}?path=${encodeURIComponent(file.path)}`,
    })),
    notes: made.notes,
    error: shownError && { code: shownError.code, message: shownError.message, param: shownError.param },
    keep: made.keep,
    expires_at: made.keep || !made.expiresAt ? null : unixSeconds(made.expiresAt),
    started_at: made.startedAt && unixSeconds(made.startedAt),
    finished_at: made.finishedAt && unixSeconds(made.finishedAt),
    download_path: stored && path,
  };
}
