import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  type AdapterVersion,
  compareVersions,
  findFineTunedModel,
  readLineage,
  setNote,
} from '@graft/service/adapters';
import {
  AdapterParams,
  AdapterSchema,
  AdapterVersionParams,
  AdapterVersionSchema,
} from '@graft/wire/adapter';
import { CompareQuery, ComparisonSchema, LineageSchema, SetNoteSchema } from '@graft/wire/adapter-requests';
import { ref } from '@graft/wire/schema';
import {
  toWireAdapter,
  toWireAdapterVersion,
  toWireComparison,
  toWireLineage,
} from '../../answers/adapter.ts';
import { ApiError } from '../../api-error.ts';
import { operations } from '../operation.ts';
import { findAdapter, findVersion } from './find-adapter.ts';

const operation = operations('Adapters');
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
    operation(reads('compared'), 'Compare two adapter versions', ref(ComparisonSchema), {
      errors: [404],
      description:
        'Compares configuration, lineage, metrics, and files by their digests, of any two fine-tuned models of the team.',
      querystring: CompareQuery,
    }),
    async ({ caller: { teamId }, query }) => {
      const a = await byName(teamId, 'a', query.a);
      const b = await byName(teamId, 'b', query.b);
      return toWireComparison(compareVersions(a, b), toWireAdapterVersion(a), toWireAdapterVersion(b));
    },
  );

  app.get(
    '/adapters/:adapter_id/versions/:version/lineage',
    operation(reads('lineage'), 'Get the lineage of an adapter version', ref(LineageSchema), {
      description:
        'Returns a graph of the base model, the versions that this one was continued from, the versions continued from it, and their jobs, files and checkpoints.',
      params: AdapterVersionParams,
    }),
    async (request) => {
      const { teamId } = request.caller;
      const { id } = await findVersion(services, teamId, request.params);
      return toWireLineage(await readLineage(services, teamId, id, request.modelLimit()));
    },
  );

  app.post(
    '/adapters/:adapter_id/note',
    operation(writes('versions'), 'Set the note of an adapter', ref(AdapterSchema), {
      params: AdapterParams,
      body: ref(SetNoteSchema),
    }),
    async ({ caller, params: { adapter_id: adapterId }, body }) => {
      await setNote(services, caller.teamId, { adapterId, number: null }, body.note, caller);
      // Nothing was written if the adapter does not exist; findAdapter then throws.
      return toWireAdapter(await findAdapter(services, caller.teamId, adapterId));
    },
  );

  app.post(
    '/adapters/:adapter_id/versions/:version/note',
    operation(writes('version'), 'Set the note of a version', ref(AdapterVersionSchema), {
      params: AdapterVersionParams,
      body: ref(SetNoteSchema),
    }),
    async ({ caller, params, body }) => {
      const version = { adapterId: params.adapter_id, number: params.version };
      await setNote(services, caller.teamId, version, body.note, caller);
      return toWireAdapterVersion(await findVersion(services, caller.teamId, params));
    },
  );
};
