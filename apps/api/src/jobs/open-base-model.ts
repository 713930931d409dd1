import { GraftError } from '@graft/peft-core/config';
import { isLastingModelFault, type LocalBaseModel, type Services } from '@graft/service';

/**
 * A model of the catalogue. Null: there is none of this id, or `signal` fired while it was downloaded, which goes on.
 * Throws GraftError: what a broken model's files say, or `base_model_unavailable` for what may pass. The operator chose
 * the model, so that it cannot be used is no fault of the user, whose error shall not tell where it lies.
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
