import { allowsModel, type Identity } from '@graft/service';
import { ApiError } from '../api-error.ts';

/**
 * Throws `model_not_allowed` where the caller's key is limited to other models, whether or not there is such a model.
 */
export function checkModelAllowed({ models }: Identity, model: string): void {
  if (allowsModel(models, model)) return;
  throw new ApiError(
    'model_not_allowed',
    `This key is limited to ${models?.join(', ') || 'no model'}, and '${model}' is none of them. Make one that may with \`graft team keys create --models\`.`,
    { param: 'model' },
  );
}
