import { GraftError } from '@graft/peft-core/config';
import { modelDigest } from '@graft/peft-core/files';
import { baseModelFault } from './base-model-fault.ts';
import type { LocalBaseModel } from './catalogue.ts';
import { type ReadLimits, readModel } from './read-model.ts';

/**
 * The model at a place on this machine. `places` are folders whose paths an error may hold. Throws `baseModelFault`, as `digest` does
 * later.
 */
export async function openLocalModel(
  id: string,
  location: string,
  places: readonly string[],
  digestCache: string,
  limits?: ReadLimits,
): Promise<LocalBaseModel> {
  const asFault = (error: unknown): never => {
    throw baseModelFault(error, id, [...places, location]);
  };
  const { tensors, ...model } = await readModel(location, limits).catch(asFault);
  return {
    id,
    path: location,
    ...model,
    tensors: {
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
        // Reading them finds what is wrong with files that are gone.
        await readModel(location, limits).catch(asFault);
        return asFault(error);
      }),
  };
}
