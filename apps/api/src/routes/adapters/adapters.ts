import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { listAdapters, listAdapterVersions } from '@graft/service';
import { createAdapterDownloads } from '../../downloads/adapter-download.ts';
import { sendDownload } from '../../downloads/download.ts';
import {
  AdapterParams,
  AdapterSchema,
  AdapterVersionParams,
  AdapterVersionSchema,
  ListAdaptersQuery,
  ListAdapterVersionsQuery,
  toWireAdapter,
  toWireAdapterVersion,
} from '../../schemas/adapter.ts';
import { errorResponses } from '../../schemas/error.ts';
import { createdSpan, listOf, toWireList } from '../../schemas/list.ts';
import { ref } from '../../schemas/schema.ts';

import { findAdapter, findVersion } from './find-adapter.ts';

const tags = ['Adapters'];
const reads = (models: 'filtered' | 'adapter' | 'version') =>
  ({ access: { scope: 'adapters:read', models } }) as const;

/** /adapters: adapters trained by jobs or uploaded, their versions and files. */
export const adapterRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;
  const downloadOf = createAdapterDownloads(services);

  app.get(
    '/adapters',
    {
      config: reads('filtered'),
      schema: {
        tags,
        summary: 'List adapters',
        querystring: ListAdaptersQuery,
        response: { 200: listOf(AdapterSchema), ...errorResponses(400, 401) },
      },
    },
    async (request) => {
      const { base_model: baseModel, ...query } = request.query;
      const models = request.modelLimit();
      const filter = { ...query, baseModel, created: createdSpan(query), models };
      return toWireList(await listAdapters(services, request.caller.teamId, filter), toWireAdapter);
    },
  );

  app.get(
    '/adapters/:adapter_id',
    {
      config: reads('adapter'),
      schema: {
        tags,
        summary: 'Get an adapter',
        params: AdapterParams,
        response: { 200: ref(AdapterSchema), ...errorResponses(401, 404) },
      },
    },
    async (request) => {
      const { caller, params } = request;
      return toWireAdapter(
        await findAdapter(services, caller.teamId, params.adapter_id, request.modelLimit()),
      );
    },
  );

  app.get(
    '/adapters/:adapter_id/versions',
    {
      config: reads('adapter'),
      schema: {
        tags,
        summary: 'List the versions of an adapter',
        description: 'Newest first.',
        params: AdapterParams,
        querystring: ListAdapterVersionsQuery,
        response: { 200: listOf(AdapterVersionSchema), ...errorResponses(400, 401, 404) },
      },
    },
    async (request) => {
      const { teamId } = request.caller;
      const { adapter_id } = request.params;
      await findAdapter(services, teamId, adapter_id);
      const page = await listAdapterVersions(services, teamId, adapter_id, {
        ...request.query,
        models: request.modelLimit(),
      });
      return toWireList(page, toWireAdapterVersion);
    },
  );

  app.get(
    '/adapters/:adapter_id/versions/:version',
    {
      config: reads('version'),
      schema: {
        tags,
        summary: 'Get a version of an adapter',
        params: AdapterVersionParams,
        response: { 200: ref(AdapterVersionSchema), ...errorResponses(400, 401, 404) },
      },
    },
    async (request) =>
      toWireAdapterVersion(await findVersion(services, request.caller.teamId, request.params)),
  );

  app.get(
    '/adapters/:adapter_id/versions/:version/download',
    {
      config: reads('version'),
      schema: {
        tags,
        summary: 'Download a version of an adapter',
        description:
          'A tar of the files that Hugging Face PEFT loads. Always the same bytes: Range, If-Range, ETag, If-None-Match; `Repr-Digest` and `X-Content-SHA256` hold the SHA-256 of the whole tar.',
        produces: ['application/x-tar'],
        params: AdapterVersionParams,
      },
    },
    async (request, reply) => {
      const version = await findVersion(services, request.caller.teamId, request.params);
      const filename = `${version.adapterName}-v${version.number}.tar`;
      // The files may have to be downloaded first, and are digested once.
      reply.endTurn();
      return await sendDownload(request, reply, await downloadOf('artifact', version, filename));
    },
  );
};
