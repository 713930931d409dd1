import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { combinationFaults } from '@graft/peft-core/config';
import { autoClass } from '@graft/peft-core/outlines';
import { type AdapterVersion, findFineTunedModel, publishCombination } from '@graft/service/adapters';
import { newId } from '@graft/service/ids';
import { isDamage, reportCorruption } from '@graft/service/maintenance';
import { receiveBytes } from '@graft/service/uploads';
import { AdapterVersionSchema } from '@graft/wire/adapter';
import { CombineAdaptersSchema } from '@graft/wire/adapter-requests';
import { ref } from '@graft/wire/schema';
import type { Static } from 'typebox';
import { toWireAdapterVersion } from '../../answers/adapter.ts';
import { ApiError } from '../../api-error.ts';
import { createCombiner } from '../../combinations/combiner.ts';
import { modelNotFound } from '../../serving/find-model.ts';
import type { ApiSettings } from '../../settings.ts';
import { type AdapterBase, openAdapterBase } from '../../uploads/open-adapter-base.ts';
import { writeRow } from '../../uploads/write-row.ts';
import { operations } from '../operation.ts';

const operation = operations('Adapters');

type Body = Static<typeof CombineAdaptersSchema>;

interface Source {
  version: AdapterVersion;
  weight: number;
}

/** POST /adapters/combine: a new version whose weights are those of others, combined. */
export const adapterCombinationRoutes: FastifyPluginAsyncTypebox<{ settings: ApiSettings }> = async (
  app,
  { settings },
) => {
  const { services } = app;
  const combiner = createCombiner(settings.combinationTimeoutMs, app.services.threads.combinations);
  app.addHook('onClose', combiner.close);

  app.post(
    '/adapters/combine',
    operation(
      { access: { scope: 'adapters:write', models: 'combined', answer: 'adapters:read' } },
      'Combine adapter versions',
      ref(AdapterVersionSchema),
      {
        errors: [404],
        description:
          'Creates a version from weighted versions of one base model, as Hugging Face PEFT’s `add_weighted_adapter` does; nothing is trained. Only versions of a method with low-rank factors, without other trained weights and with the same target modules, can be combined.',
        body: ref(CombineAdaptersSchema),
      },
    ),
    async (request, reply) => {
      const { caller, body } = request;
      const { teamId } = caller;
      const { name, sources: given, note = null, combination_type = 'svd', ...options } = body;
      const combination = { combination_type, ...options };
      const [fault] = combinationFaults(combination);
      if (fault)
        throw new ApiError('invalid_value', `${fault.path}: ${fault.message}`, { param: fault.path });
      await app.checkBudget(teamId);
      const sources = await findSources(teamId, given);
      reply.hold('uploads');
      const sizes = sources.map(({ version }) => version.bytes);
      const announced =
        combination.combination_type === 'cat' || combination.svd_rank !== undefined
          ? sizes.reduce((sum, bytes) => sum + bytes)
          : Math.max(...sizes);
      const incoming = await receiveBytes(services, teamId, announced);
      try {
        const combining = combinedFiles(teamId, sources, combination);
        const { stored, base, peft } = await reply
          .withoutTurn(() => combining)
          .catch(async (error: unknown) => {
            // The client has disconnected meanwhile.
            await combining.then(({ stored }) => services.artifacts.remove(stored.artifact)).catch(() => {});
            throw error;
          });
        const prompts = new Set(sources.map(({ version }) => version.systemPrompt));
        const made = {
          ...stored,
          name,
          base: {
            id: base.id,
            digest: base.digest,
            transformers_class: autoClass(base.config, peft.task_type),
          },
          peft,
          note,
          sources,
          combination,
          systemPrompt: prompts.size === 1 ? sources[0]!.version.systemPrompt : null,
        };
        const write = () => publishCombination(services, teamId, made, caller, incoming);
        return toWireAdapterVersion(await writeRow(write, () => services.artifacts.remove(stored.artifact)));
      } finally {
        await incoming.end();
      }
    },
  );

  /** Throws `model_not_found`; `not_combinable` for versions of several base models, and for one that is named twice. */
  async function findSources(teamId: string, given: Body['sources']): Promise<Source[]> {
    const sources: Source[] = [];
    for (const { model, weight = 1 } of given) {
      const version = await findFineTunedModel(services, teamId, model);
      // An adapter cannot be used without its base model.
      if (!version || !(await services.baseModels.permits(version.baseModel, teamId)))
        throw modelNotFound(model, { param: 'sources' });
      const { id, baseModel, modelName } = version;
      const first = sources[0]?.version ?? version;
      if (baseModel !== first.baseModel)
        throw notCombinable(
          `${first.modelName} adapts ${first.baseModel} and ${modelName} adapts ${baseModel}; combine versions of one base model.`,
        );
      if (sources.some((other) => other.version.id === id))
        throw notCombinable(`${modelName} is named twice; add its weights.`);
      sources.push({ version, weight });
    }
    return sources;
  }

  /** Combines the stored files of the versions to a new object in the store. */
  async function combinedFiles(
    teamId: string,
    sources: readonly Source[],
    options: Parameters<typeof combinationFaults>[0],
  ) {
    const base = await openAdapterBase(services, sources[0]!.version.baseModel);
    checkBase(sources, base);
    let output: string | null = null;
    try {
      const peft = await combiner.combine(teamId, async () => {
        output = await services.artifacts.stage(newId('version'), 0);
        const folders = [];
        for (const { version, weight } of sources)
          folders.push({ folder: await folderOf(version), name: version.modelName, weight });
        const { config, digest, id } = base;
        return { sources: folders, output, base: { config, digest, name: id }, options };
      });
      return { stored: await services.artifacts.publish(output!), base, peft };
    } finally {
      if (output !== null) await rm(dirname(output), { recursive: true, force: true }).catch(() => {});
    }
  }

  /** The local folder with the verified files of a version. */
  async function folderOf({
    artifact,
    corruptAt,
    teamId,
    id,
    jobId,
    modelName,
  }: AdapterVersion): Promise<string> {
    try {
      return await services.artifacts.localFolder(artifact, { afresh: corruptAt !== null });
    } catch (error) {
      if (isDamage(error))
        await reportCorruption(services, { kind: 'artifact', teamId, id, jobId, modelName }, error);
      throw error;
    }
  }
};

/** README.md of an uploaded version may not name the weights; its row does. */
function checkBase(sources: readonly Source[], base: AdapterBase): void {
  for (const { version } of sources) {
    const { digest } = (version.lineage.base_model ?? {}) as { digest?: unknown };
    if (digest === undefined || digest === base.digest) continue;
    throw new ApiError(
      'base_model_changed',
      `sources: ${version.modelName} was trained on other weights than ${base.id} has now.`,
      { param: 'sources' },
    );
  }
}

function notCombinable(message: string): ApiError {
  return new ApiError('not_combinable', `sources: ${message}`, { param: 'sources' });
}
