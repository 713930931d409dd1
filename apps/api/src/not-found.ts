import { ApiError } from './api-error.ts';
import type { ErrorCode } from './error-codes.ts';

interface Kind {
  code: ErrorCode;
  /** Name of the object in the message. */
  noun: string;
  /** The parameter that holds its id. */
  param: string;
}

const kinds = {
  adapter: { code: 'adapter_not_found', noun: 'adapter', param: 'adapter_id' },
  apiKey: { code: 'api_key_not_found', noun: 'API key', param: 'key_id' },
  delivery: { code: 'webhook_delivery_not_found', noun: 'delivery', param: 'delivery_id' },
  modelAlias: { code: 'model_alias_not_found', noun: 'model alias', param: 'alias' },
  deployTarget: { code: 'deploy_target_not_found', noun: 'deploy target', param: 'target_id' },
  export: { code: 'export_not_found', noun: 'export of the version', param: 'export_id' },
  file: { code: 'file_not_found', noun: 'file', param: 'file_id' },
  identity: { code: 'identity_not_found', noun: 'identity', param: 'identity_id' },
  invitation: { code: 'invitation_not_found', noun: 'open invitation', param: 'invitation_id' },
  job: { code: 'job_not_found', noun: 'fine-tuning job', param: 'fine_tuning_job_id' },
  leftover: { code: 'leftover_not_found', noun: 'leftover', param: 'leftover_id' },
  member: { code: 'member_not_found', noun: 'member of the team', param: 'person_id' },
  operatorKey: { code: 'api_key_not_found', noun: 'active operator key', param: 'key_id' },
  person: { code: 'person_not_found', noun: 'person', param: 'person_id' },
  price: { code: 'price_not_found', noun: 'price', param: 'price_id' },
  publication: { code: 'publication_not_found', noun: 'publication of the version', param: 'publication_id' },
  session: { code: 'session_not_found', noun: 'session', param: 'session_id' },
  team: { code: 'team_not_found', noun: 'team', param: 'team_id' },
  upload: { code: 'upload_not_found', noun: 'upload', param: 'upload_id' },
  webhook: { code: 'webhook_not_found', noun: 'webhook endpoint', param: 'webhook_id' },
  worker: { code: 'worker_not_found', noun: 'worker', param: 'worker_id' },
} as const satisfies Record<string, Kind>;

/** The error for an id that belongs to no object, or to an object of another team. */
export function notFound(kind: keyof typeof kinds, id: string, param: string = kinds[kind].param): ApiError {
  const { code, noun } = kinds[kind];
  return new ApiError(code, `No such ${noun}: ${id}`, { param });
}

/** Returns what was found by `id`. Throws `notFound` if `value` is null or false. */
export function found<T>(value: T | null | false, kind: keyof typeof kinds, id: string): T {
  if (value === null || value === false) throw notFound(kind, id);
  return value;
}
