import { admitBaseModel } from '@graft/service/added-models';
import type { LocalBaseModel } from '@graft/service/base-models';
import type { Services } from '@graft/service/services';
import { ApiError } from '../api-error.ts';
import { openBaseModel } from '../jobs/open-base-model.ts';

/** Milliseconds to open a base model, which may have to be downloaded first. */
const openModelPatience = 30_000;

/** A base model of the catalogue against which an adapter's files are checked. */
export interface AdapterBase extends Pick<LocalBaseModel, 'config' | 'tensors'> {
  id: string;
  digest: string;
}

/** Throws `service_unavailable` while the model is fetched, and what `openBaseModel` throws. */
export async function openAdapterBase(services: Services, id: string): Promise<AdapterBase> {
  const model = await openBaseModel(services, id, AbortSignal.timeout(openModelPatience));
  if (!model) {
    throw new ApiError('service_unavailable', `${id} is still being fetched; try again.`, {
      headers: { 'retry-after': '30' },
    });
  }
  const { config, tensors } = model;
  return { id, config, tensors, digest: await admitBaseModel(services, model) };
}
