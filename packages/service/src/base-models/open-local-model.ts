import { openBaseModel } from '@graft/peft-core/files';
import { baseModelFault } from './base-model-fault.ts';
import type { LocalBaseModel } from './catalogue.ts';

/**
 * The model at a place on this machine. `places` are folders whose paths an error may hold. Throws `baseModelFault`, as `digest` does
 * later.
 */
export async function openLocalModel(
  id: string,
  location: string,
  places: readonly string[],
  digestCache: string,
): Promise<LocalBaseModel> {
  const asFault = (error: unknown): never => {
    throw baseModelFault(error, id, [...places, location]);
  };
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
