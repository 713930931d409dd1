import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  deleteVersions,
  listDeletedVersions,
  restorableUntil,
  restoreVersion,
} from '@graft/service/adapters';
import { AdapterParams, AdapterVersionParams, AdapterVersionSchema } from '@graft/wire/adapter';
import { DeletedAdapterSchema, DeletedVersionSchema, ListDeletedQuery } from '@graft/wire/adapter-requests';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import { toWireAdapterVersion } from '../../answers/adapter.ts';
import { toWireList, unixSeconds } from '../../answers/list.ts';
import { ApiError } from '../../api-error.ts';
import { operations } from '../operation.ts';
import { findAdapter, findVersion } from './find-adapter.ts';

const operation = operations('Adapters');
const reads = { access: { scope: 'adapters:read', models: 'filtered' } } as const;
const deletes = (models: 'versions' | 'version') =>
  ({ access: { scope: 'adapters:write', models, answer: 'own' } }) as const;
const restores = { access: { scope: 'adapters:write', models: 'version', answer: 'adapters:read' } } as const;
const kept =
  'A deleted version can be restored for some days, which the operator sets. After that it is removed with its files.';

export const adapterDeletionRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/adapters/deleted',
    operation(reads, 'List deleted versions that can be restored', listOf(DeletedVersionSchema), {
      description: 'Most recently deleted first.',
      querystring: ListDeletedQuery,
    }),
    async (request) => {
      const page = await listDeletedVersions(services, request.caller.teamId, {
        ...request.query,
        models: request.modelLimit(),
      });
      return toWireList(page, (version) => ({
        ...toWireAdapterVersion(version),
        deleted_at: unixSeconds(version.deletedAt!),
        restorable_until: unixSeconds(restorableUntil(services.env, version.deletedAt!)),
      }));
    },
  );

  app.delete(
    '/adapters/:adapter_id',
    operation(deletes('versions'), 'Delete an adapter', ref(DeletedAdapterSchema), {
      description: `Deletes all versions of the adapter, none of which may have a tag. ${kept}`,
      params: AdapterParams,
    }),
    async ({ caller, params }) => {
      const { teamId, models } = caller;
      const { id: adapterId } = await findAdapter(services, teamId, params.adapter_id);
      const all = { adapterId, number: null, models };
      const versions = await deleteVersions(services, teamId, all, caller);
      return { id: adapterId, object: 'adapter' as const, deleted: true as const, versions };
    },
  );

  app.delete(
    '/adapters/:adapter_id/versions/:version',
    operation(deletes('version'), 'Delete a version of an adapter', ref(DeletedAdapterSchema), {
      description: `The version must not have a tag. ${kept}`,
      params: AdapterVersionParams,
    }),
    async ({ caller, params }) => {
      const { adapterId, number } = await findVersion(services, caller.teamId, params);
      const versions = await deleteVersions(services, caller.teamId, { adapterId, number }, caller);
      return { id: adapterId, object: 'adapter' as const, deleted: true as const, versions };
    },
  );

  app.post(
    '/adapters/:adapter_id/versions/:version/restore',
    operation(restores, 'Restore a deleted version', ref(AdapterVersionSchema), {
      params: AdapterVersionParams,
    }),
    async ({ caller, params: { adapter_id: adapterId, version: number } }) => {
      const version = await restoreVersion(services, caller.teamId, { adapterId, number }, caller);
      if (version) return toWireAdapterVersion(version);
      const message = 'No such deleted version; GET /v1/adapters/deleted lists them.';
      throw new ApiError('adapter_not_deleted', message, { param: 'version' });
    },
  );
};
