import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { listAdapters, listAdapterVersions } from '@graft/service/adapters';
import {
  AdapterParams,
  AdapterSchema,
  AdapterVersionParams,
  AdapterVersionSchema,
  ListAdaptersQuery,
  ListAdapterVersionsQuery,
} from '@graft/wire/adapter';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import { toWireAdapter, toWireAdapterVersion } from '../../answers/adapter.ts';
import { createdSpan, toWireList } from '../../answers/list.ts';
import { createAdapterDownloads } from '../../downloads/adapter-download.ts';
import { sendDownload } from '../../downloads/download.ts';
import { operations } from '../operation.ts';
import { findAdapter, findVersion } from './find-adapter.ts';

const operation = operations('Adapters');
const reads = (models: 'filtered' | 'adapter' | 'version') =>
  ({ access: { scope: 'adapters:read', models } }) as const;

/** /adapters: adapters trained by jobs or uploaded, their versions and files. */
export const adapterRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;
  const downloadOf = createAdapterDownloads(services);

  app.get(
    '/adapters',
    operation(reads('filtered'), 'List adapters', listOf(AdapterSchema), { querystring: ListAdaptersQuery }),
    async (request) => {
      const { base_model: baseModel, ...query } = request.query;
      const models = request.modelLimit();
      const filter = { ...query, baseModel, created: createdSpan(query), models };
      return toWireList(await listAdapters(services, request.caller.teamId, filter), toWireAdapter);
    },
  );

  app.get(
    '/adapters/:adapter_id',
    operation(reads('adapter'), 'Get an adapter', ref(AdapterSchema), { params: AdapterParams }),
    async (request) => {
      const { adapter_id: id } = request.params;
      return toWireAdapter(await findAdapter(services, request.caller.teamId, id, request.modelLimit()));
    },
  );

  app.get(
    '/adapters/:adapter_id/versions',
    operation(reads('adapter'), 'List the versions of an adapter', listOf(AdapterVersionSchema), {
      description: 'Newest first.',
      params: AdapterParams,
      querystring: ListAdapterVersionsQuery,
    }),
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
    operation(reads('version'), 'Get a version of an adapter', ref(AdapterVersionSchema), {
      params: AdapterVersionParams,
    }),
    async ({ caller, params }) => toWireAdapterVersion(await findVersion(services, caller.teamId, params)),
  );

  app.get(
    '/adapters/:adapter_id/versions/:version/download',
    {
      config: reads('version'),
      schema: {
        tags: ['Adapters'],
        summary: 'Download a version of an adapter',
        description:
          'Returns a tar of the files that Hugging Face PEFT loads, always with the same bytes. Supports Range, If-Range, ETag and If-None-Match; `Repr-Digest` and `X-Content-SHA256` contain the SHA-256 of the whole tar.',
        produces: ['application/x-tar'],
        params: AdapterVersionParams,
      },
    },
    async (request, reply) => {
      const version = await findVersion(services, request.caller.teamId, request.params);
      const filename = `${version.adapterName}-v${version.number}.tar`;
      // The files may have to be downloaded first, and are digested once.
      reply.endTurn();
      return await sendDownload(request, reply, await downloadOf('artifact', version, filename), {
        action: 'adapter.download',
        target: version.id,
      });
    },
  );
};
