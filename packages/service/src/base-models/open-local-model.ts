import { GraftError } from '@graft/peft-core/config';
import { modelDigest } from '@graft/peft-core/files';
import { baseModelFault } from './base-model-fault.ts';
import type { LocalBaseModel } from './catalogue.ts';
import { type ReadLimits, readModel } from './read-model.ts';

/**
 * Opens the model at a path on this machine. `places` are folders whose paths an error may contain. Throws `baseModelFault`, as does
 * `digest` later.
 */
export async function openLocalModel(
  id: string,
  location: string,
  places: readonly string[],
  digestCache: string,
  limits?: ReadLimits,
): Promise<LocalBaseModel> {
  const rethrow = (error: unknown): never => {
    throw baseModelFault(error, id, [...places, location]);
  };
  const { tensors, ...model } = await readModel(location, limits).catch(rethrow);
  return {
    id,
    path: location,
    ...model,
    tensors: {
      names: () => [...tensors.keys()],
      has: (name) => tensors.has(name),
      info: (name) => {
        const info = tensors.get(name);
        if (info) return info;
        throw new GraftError('tensor_not_found', `${location} has no tensor "${name}"`);
      },
    },
    digestCache,
    digest: async () =>
      await modelDigest(model.weightFiles, digestCache).catch(async (error: unknown) => {
        // Reading the model again reports what is wrong, for example missing files.
        await readModel(location, limits).catch(rethrow);
        return rethrow(error);
      }),
  };
}
