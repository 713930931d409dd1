import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { listTags, moveTag, removeTag } from '@graft/service/adapters';
import { AdapterParams } from '@graft/wire/adapter';
import {
  AdapterTagParams,
  AdapterTagSchema,
  DeletedAdapterTagSchema,
  MoveAdapterTagSchema,
  MovedAdapterTagSchema,
} from '@graft/wire/adapter-requests';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import { toWireTag } from '../../answers/adapter.ts';
import { toWireList } from '../../answers/list.ts';
import { ApiError } from '../../api-error.ts';
import { operations } from '../operation.ts';
import { findAdapter, versionNotFound } from './find-adapter.ts';

const operation = operations('Adapters');
const reads = { access: { scope: 'adapters:read', models: 'adapter' } } as const;
const moves = { access: { scope: 'adapters:write', models: 'moved tag', answer: 'adapters:read' } } as const;
const removes = { access: { scope: 'adapters:write', models: 'tag', answer: 'own' } } as const;

/** /adapters/{id}/tags: model names for completions that can be moved from version to version. */
export const adapterTagRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/adapters/:adapter_id/tags',
    operation(reads, 'List the tags of an adapter', listOf(AdapterTagSchema), {
      description: 'Sorted by name, all on one page: an adapter has at most 100 tags.',
      params: AdapterParams,
    }),
    async (request) => {
      const { teamId } = request.caller;
      const { id } = await findAdapter(services, teamId, request.params.adapter_id);
      const data = await listTags(services, teamId, id, request.modelLimit());
      return toWireList({ data, hasMore: false }, toWireTag);
    },
  );

  app.post(
    '/adapters/:adapter_id/tags',
    operation(moves, 'Create or move a tag', ref(MovedAdapterTagSchema), {
      errors: [412],
      description:
        'Makes the tag point to a version, atomically: each completion that uses the tag runs on either the old or the new version. With `expected_version`, only if nobody else has moved the tag in the meantime.',
      params: AdapterParams,
      body: ref(MoveAdapterTagSchema),
    }),
    async ({ caller, params, body: { tag: name, version, expected_version: expected } }) => {
      const { teamId } = caller;
      const { id: adapterId } = await findAdapter(services, teamId, params.adapter_id);
      const moved = await moveTag(services, teamId, { adapterId, name, version, expected }, caller);
      if (!moved) throw versionNotFound(version);
      return { ...toWireTag(moved.tag), previous_version: moved.previous };
    },
  );

  app.delete(
    '/adapters/:adapter_id/tags/:tag',
    operation(removes, 'Delete a tag', ref(DeletedAdapterTagSchema), {
      description: 'The version remains.',
      params: AdapterTagParams,
    }),
    async ({ caller, params: { adapter_id, tag: name } }) => {
      const { teamId } = caller;
      const { id: adapterId } = await findAdapter(services, teamId, adapter_id);
      if (!(await removeTag(services, teamId, { adapterId, name }, caller)))
        throw new ApiError('adapter_tag_not_found', `The adapter has no tag ${name}.`, { param: 'tag' });
      return { adapter_id: adapterId, object: 'adapter.tag' as const, tag: name, deleted: true as const };
    },
  );
};
