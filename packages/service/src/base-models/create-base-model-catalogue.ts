import { type BaseModelSpec, openBaseModel, resolveBaseModel } from '@graft/peft-core/files';
import type { ServiceEnv } from '../env.ts';
import { baseModelFault } from './base-model-fault.ts';
import { digestFolder } from './cache-folder.ts';
import type { BaseModelCatalogue, LocalBaseModel } from './catalogue.ts';
import { listBaseModels } from './list-base-models.ts';

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
  let digest: Promise<string> | undefined;
  const readDigest = async () => {
    const again = await openBaseModel(location, { digestCache });
    try {
      return await again.digest();
    } finally {
      await again.close();
    }
  };
  try {
    const { modelType, config, generationConfig, tokenizerFiles, tensors } = model;
    return {
      id,
      path: location,
      modelType,
      config,
      generationConfig,
      tokenizerFiles,
      tensors,
      digestCache,
      digest: async () => {
        digest ??= readDigest().catch((error: unknown) => {
          // What may pass is looked at again.
          digest = undefined;
          return asFault(error);
        });
        return await digest;
      },
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
