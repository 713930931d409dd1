import { GraftError } from '@graft/peft-core/config';
import { isLastingModelFault, type LocalBaseModel, type Services } from '@graft/service';

/**
 * A model of the catalogue. Null: it has no such id, or `signal` fired during the download, which goes on.
 * Throws GraftError: a lasting fault of the model's files as it is, or `base_model_unavailable` for what may pass. These are
 * system faults, since the operator chose the model, and their messages hold no path.
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
