import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  type AdapterVersion,
  compareVersions,
  findFineTunedModel,
  readLineage,
  setNote,
} from '@graft/service';
import { ApiError } from '../../api-error.ts';
import {
  AdapterParams,
  AdapterSchema,
  AdapterVersionParams,
  AdapterVersionSchema,
  toWireAdapter,
  toWireAdapterVersion,
} from '../../schemas/adapter.ts';
import {
  CompareQuery,
  ComparisonSchema,
  LineageSchema,
  SetNoteSchema,
  toWireComparison,
  toWireLineage,
} from '../../schemas/adapter-requests.ts';
import { errorResponses } from '../../schemas/error.ts';
import { ref } from '../../schemas/schema.ts';
import { findAdapter, findVersion } from './find-adapter.ts';

const tags = ['Adapters'];
const reads = (models: 'compared' | 'lineage') => ({ access: { scope: 'adapters:read', models } }) as const;
const writes = (models: 'versions' | 'version') =>
  ({ access: { scope: 'adapters:write', models, answer: 'adapters:read' } }) as const;

/** Lineage, comparison and notes of adapters. */
export const adapterHistoryRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  async function byName(teamId: string, param: 'a' | 'b', name: string): Promise<AdapterVersion> {
    const version = await findFineTunedModel(services, teamId, name);
    if (!version) throw new ApiError('model_not_found', `The model '${name}' does not exist.`, { param });
    return version;
  }

  app.get(
    '/adapters/compare',
    {
      config: reads('compared'),
      schema: {
        tags,
        summary: 'Compare two versions',
        description:
          'Configuration, lineage, metrics, and files by their digests. Of any two fine-tuned models of the team.',
        querystring: CompareQuery,
        response: { 200: ref(ComparisonSchema), ...errorResponses(400, 401, 404) },
      },
    },
    async (request) => {
      const { teamId } = request.caller;
      const a = await byName(teamId, 'a', request.query.a);
      const b = await byName(teamId, 'b', request.query.b);
      return toWireComparison(compareVersions(a, b), toWireAdapterVersion(a), toWireAdapterVersion(b));
    },
  );

  app.get(
    '/adapters/:adapter_id/versions/:version/lineage',
    {
      config: reads('lineage'),
      schema: {
        tags,
        summary: 'Get what a version came from, and what came from it',
        description:
          'A graph: base model, versions that it was started from, versions that were started from it, and their jobs, files and checkpoints.',
        params: AdapterVersionParams,
        response: { 200: ref(LineageSchema), ...errorResponses(400, 401, 404) },
      },
    },
    async (request) => {
      const { teamId } = request.caller;
      const { id } = await findVersion(services, teamId, request.params);
      return toWireLineage(await readLineage(services, teamId, id, request.modelLimit()));
    },
  );

  app.post(
    '/adapters/:adapter_id/note',
    {
      config: writes('versions'),
      schema: {
        tags,
        summary: 'Write the note of an adapter',
        params: AdapterParams,
        body: ref(SetNoteSchema),
        response: { 200: ref(AdapterSchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
    async (request) => {
      const { caller } = request;
      const { teamId } = caller;
      const { adapter_id: adapterId } = request.params;
      await setNote(services, teamId, { adapterId, number: null }, request.body.note, caller);
      // Nothing was written if the adapter does not exist; findAdapter then throws.
      return toWireAdapter(await findAdapter(services, teamId, adapterId));
    },
  );

  app.post(
    '/adapters/:adapter_id/versions/:version/note',
    {
      config: writes('version'),
      schema: {
        tags,
        summary: 'Write the note of a version',
        params: AdapterVersionParams,
        body: ref(SetNoteSchema),
        response: { 200: ref(AdapterVersionSchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
    async (request) => {
      const { caller } = request;
      const { teamId } = caller;
      const { adapter_id: adapterId, version: number } = request.params;
      await setNote(services, teamId, { adapterId, number }, request.body.note, caller);
      return toWireAdapterVersion(await findVersion(services, teamId, request.params));
    },
  );
};
