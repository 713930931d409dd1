import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { type BaseModelSpec, openBaseModel, packagedModels, resolveBaseModel } from '@graft/peft-core/files';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import type { ServiceEnv } from '../env.ts';
import { baseModelFault } from './base-model-fault.ts';
import type { BaseModelCatalogue, BaseModelEntry, LocalBaseModel } from './catalogue.ts';

/** The operator's file: `{"my-model": {"folder": "/models/my-model"}, "other": {"hub": "org/name", "revision": "main"}}`. */
const OperatorFileSchema = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,95}$' }),
  Type.Union([
    Type.Object({ folder: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
    Type.Object(
      { hub: Type.String({ minLength: 1 }), revision: Type.Optional(Type.String({ minLength: 1 })) },
      { additionalProperties: false },
    ),
  ]),
);

interface Entry extends BaseModelEntry {
  spec: BaseModelSpec;
}

const bundled = packagedModels.map(
  ({ id, published, python }): Entry => ({ id, source: 'bundled', createdAt: published, spec: { python } }),
);

type CatalogueEnv = Pick<ServiceEnv, 'cacheDir' | 'baseModelsFile' | 'hubAllow' | 'hfEndpoint' | 'hfToken'>;

/** Reads the operator's file; throws, naming the fault, when that is broken. Opens no model yet. */
export async function createBaseModelCatalogue(env: CatalogueEnv): Promise<BaseModelCatalogue> {
  const operator = env.baseModelsFile === undefined ? [] : await readOperatorFile(env.baseModelsFile);
  const exact = env.hubAllow
    .filter((glob) => !glob.includes('*'))
    .map((id): Entry => ({ id, source: 'hub', createdAt: new Date(0), spec: { hub: id } }));
  const entries = new Map([...bundled, ...exact, ...operator].map((entry) => [entry.id, entry]));
  const allowed = env.hubAllow.map(globToRegExp);
  const opened = new Map<string, Promise<LocalBaseModel>>();

  function find(id: string): BaseModelSpec | null {
    const entry = entries.get(id);
    if (entry) return entry.spec;
    const isHubId = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/.test(id);
    return isHubId && allowed.some((pattern) => pattern.test(id)) ? { hub: id } : null;
  }

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
  const digestCache = path.join(cacheDir, 'digests');
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

/** `*` stands for any characters of one part of `org/name`. The globs are the operator's. */
function globToRegExp(glob: string): RegExp {
  const parts = glob.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^/]*')}$`);
}

async function readOperatorFile(file: string): Promise<Entry[]> {
  const fault = (message: string) => new Error(`GRAFT_BASE_MODELS, ${file}: ${message}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw fault((error as Error).message);
  }
  if (!Value.Check(OperatorFileSchema, parsed)) {
    const errors = Value.Errors(OperatorFileSchema, parsed);
    throw fault(errors.map((error) => `${error.instancePath || '/'} ${error.message}`).join('; '));
  }
  const { mtime } = await stat(file);
  return Object.entries(parsed as Static<typeof OperatorFileSchema>).map(([id, spec]) => ({
    id,
    source: 'operator',
    createdAt: mtime,
    // Relative folders count from the file that names them.
    spec: 'folder' in spec ? { folder: path.resolve(path.dirname(file), spec.folder) } : spec,
  }));
}
