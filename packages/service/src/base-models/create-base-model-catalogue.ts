import { type BaseModelSpec, openBaseModel, rehashWeights, resolveBaseModel } from '@graft/peft-core/files';
import type { ServiceEnv } from '../env.ts';
import { baseModelFault } from './base-model-fault.ts';
import { digestFolder } from './cache-folder.ts';
import type { BaseModelCatalogue, LocalBaseModel } from './catalogue.ts';
import { listBaseModels } from './list-base-models.ts';

/** How weights are read that nobody waits for. */
const slowly = { olderThanMs: 7 * 24 * 3600 * 1000, bytesPerSecond: 16 * 2 ** 20 };

type CatalogueEnv = Pick<ServiceEnv, 'cacheDir' | 'baseModelsFile' | 'hubAllow' | 'hfEndpoint' | 'hfToken'>;

/** Reads the operator's file; throws, naming the fault, when that is broken. Opens no model yet. */
export async function createBaseModelCatalogue(env: CatalogueEnv): Promise<BaseModelCatalogue> {
  const { entries, find } = await listBaseModels(env);
  const opened = new Map<string, Promise<LocalBaseModel>>();

  return {
    list: async () => [...entries.values()].map(({ id, source, createdAt }) => ({ id, source, createdAt })),
    has: async (id) => find(id) !== null,
    get: async (id, options = {}) => {
      const spec = find(id);
      if (spec === null) return null;
      let model = opened.get(id);
      if (!model) {
        model = open(id, spec, env, options.onProgress);
        opened.set(id, model);
        // A download that failed is tried again by the next who asks.
        model.catch(() => opened.delete(id));
      }
      return await abortable(model, options.signal);
    },
    scrub: async (signal) => {
      const changed: string[] = [];
      for (const opening of opened.values()) {
        const model = await opening.catch(() => null);
        if (!model) continue;
        const files = await rehashWeights(model.weightFiles, model.digestCache, {
          ...slowly,
          ...(signal ? { signal } : {}),
        });
        if (files.length > 0) changed.push(model.id);
      }
      return changed;
    },
  };
}

async function open(
  id: string,
  spec: BaseModelSpec,
  { cacheDir, hfEndpoint, hfToken }: CatalogueEnv,
  onProgress: ((message: string) => void) | undefined,
): Promise<LocalBaseModel> {
  // An error may hold any path under these.
  const places = ['folder' in spec ? spec.folder : cacheDir];
  const asFault = (error: unknown): never => {
    throw baseModelFault(error, id, places);
  };
  const location = await resolveBaseModel(spec, {
    cacheDir,
    onProgress,
    env: { HF_ENDPOINT: hfEndpoint, HF_TOKEN: hfToken },
  }).catch(asFault);
  places.push(location);
  const digestCache = digestFolder(cacheDir);
  const model = await openBaseModel(location, { digestCache }).catch(asFault);
  try {
    const { modelType, config, generationConfig, tokenizerFiles, tensors, weightFiles } = model;
    return {
      id,
      path: location,
      modelType,
      config,
      generationConfig,
      tokenizerFiles,
      tensors,
      weightFiles,
      digestCache,
      // Of the files alone, so also after the model is closed.
      digest: async () =>
        await model.digest().catch(async (error: unknown) => {
          // Opening them says best what is wrong with files that are gone.
          const again = await openBaseModel(location, { digestCache }).catch(asFault);
          await again.close();
          return asFault(error);
        }),
    };
  } finally {
    await model.close();
  }
}

/** The wait ends with the signal; the download goes on for whoever else waits for it. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await work;
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
