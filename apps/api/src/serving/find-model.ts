import { findFineTunedModel, type Services } from '@graft/service';
import { modelNotFound } from '../routes/models.ts';
import type { WorkerRequest } from './generate.ts';

/** What a `model` in a request stands for. Throws `model_not_found` (404). */
export async function findModel(
  services: Services,
  teamId: string,
  model: string,
): Promise<Pick<WorkerRequest, 'base_model' | 'adapter'>> {
  if (await services.baseModels.has(model)) return { base_model: model, adapter: null };
  const version = await findFineTunedModel(services, teamId, model);
  if (!version) throw modelNotFound(model);
  const { base_model: trainedOn } = version.lineage as { base_model: { digest: string } };
  return {
    base_model: version.baseModel,
    adapter: { version_id: version.id, digest: version.digest, base_digest: trainedOn.digest },
  };
}
