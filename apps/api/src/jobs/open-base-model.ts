import { GraftError } from '@graft/peft-core/config';
import { isLastingModelFault, type LocalBaseModel } from '@graft/service/base-models';
import type { Services } from '@graft/service/services';

/**
 * Opens a model of the catalogue. Null: the id is unknown, or `signal` fired during the download, which continues in the background.
 * Throws GraftError: permanent errors in the model's files unchanged, `base_model_unavailable` for temporary ones. These are system
 * errors, since the operator chose the model, and their messages contain no path.
 */
export async function openBaseModel(
  services: Services,
  id: string,
  signal: AbortSignal,
): Promise<LocalBaseModel | null> {
  try {
    return await services.baseModels.get(id, { signal });
  } catch (cause) {
    if (signal.aborted) return null;
    services.log.error({ err: cause, model: id }, 'base model cannot be opened');
    if (cause instanceof GraftError && isLastingModelFault(cause.code)) throw cause;
    throw new GraftError('base_model_unavailable', `The base model ${id} cannot be opened by the server.`, {
      fault: 'system',
      param: 'model',
      cause,
    });
  }
}
