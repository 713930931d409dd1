import { type Adapter, type AdapterVersion, getAdapter, getAdapterVersion } from '@graft/service/adapters';
import type { ModelLimit } from '@graft/service/keys';
import type { Services } from '@graft/service/services';
import { ApiError } from '../../api-error.ts';
import { found } from '../../not-found.ts';

/** Returns the adapter with its versions and tags within `models`. Throws `adapter_not_found`, also for another team's adapter. */
export async function findAdapter(
  services: Pick<Services, 'db' | 'sql'>,
  teamId: string,
  id: string,
  models: ModelLimit = null,
): Promise<Adapter> {
  return found(await getAdapter(services, teamId, id, models), 'adapter', id);
}

/** Throws `adapter_not_found`, `adapter_version_not_found`. */
export async function findVersion(
  services: Pick<Services, 'db' | 'sql'>,
  teamId: string,
  { adapter_id, version: number }: { adapter_id: string; version: number },
): Promise<AdapterVersion> {
  const version = await getAdapterVersion(services, teamId, adapter_id, number);
  if (version) return version;
  await findAdapter(services, teamId, adapter_id);
  throw versionNotFound(number);
}

export function versionNotFound(number: number): ApiError {
  return new ApiError('adapter_version_not_found', `The adapter has no version ${number}.`, {
    param: 'version',
  });
}
