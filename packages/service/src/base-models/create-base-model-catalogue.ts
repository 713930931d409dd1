import { type BaseModelSpec, resolveBaseModel } from '@graft/peft-core/files';
import { digestFolder } from '../environment/cache-folder.ts';
import type { ServiceEnv } from '../environment/env.ts';
import type { ThreadShare } from '../environment/thread-plan.ts';
import { baseModelFault } from './base-model-fault.ts';
import type { ConfiguredCatalogue, LocalBaseModel } from './catalogue.ts';
import { listBaseModels } from './list-base-models.ts';
import { openLocalModel } from './open-local-model.ts';
import { OpenedModels } from './opened-models.ts';
import { prepareToRead } from './read-model.ts';

type CatalogueEnv = Pick<
  ServiceEnv,
  'cacheDir' | 'baseModels' | 'hubAllow' | 'acceptedTerms' | 'hfEndpoint' | 'hfToken'
>;

/** Reads the operator's file; throws an error that names the fault if the file is invalid. Opens no model yet, but warms up the reader. */
export async function createBaseModelCatalogue(
  env: CatalogueEnv,
  readers?: ThreadShare,
): Promise<ConfiguredCatalogue> {
  const { entries, find } = await listBaseModels(env);
  const opened = new OpenedModels();
  prepareToRead(readers);
  return {
    list: async () =>
      [...entries.values()].map(({ id, source, hub, createdAt }) => ({ id, source, hub, createdAt })),
    has: async (id) => find(id) !== null,
    knows: (id) => find(id) !== null,
    get: async (id, options = {}) => {
      const spec = find(id);
      if (spec === null) return null;
      return await opened.get(id, () => open(id, spec, env, options.onProgress), options.signal);
    },
    scrub: async (signal) => await opened.scrub(signal),
  };
}

async function open(
  id: string,
  spec: BaseModelSpec,
  { cacheDir, hfEndpoint, hfToken }: CatalogueEnv,
  onProgress: ((message: string) => void) | undefined,
): Promise<LocalBaseModel> {
  // An error message may contain any path below these.
  const places = ['folder' in spec ? spec.folder : cacheDir];
  const location = await resolveBaseModel(spec, {
    cacheDir,
    onProgress,
    env: { HF_ENDPOINT: hfEndpoint, HF_TOKEN: hfToken },
  }).catch((error: unknown): never => {
    throw baseModelFault(error, id, places);
  });
  return await openLocalModel(id, location, places, digestFolder(cacheDir));
}
