export { createApiKey, type NewApiKey } from './create-api-key.ts';
export { type ListedExit, listExits } from './list-exits.ts';
export { type ApiKeyRecord, getApiKey, listApiKeys } from './manage-api-keys.ts';
export {
  allowsJob,
  allowsModel,
  allowsNewVersion,
  type ModelLimit,
  namedWithin,
} from './model-limit.ts';
export * from './operator-keys.ts';
export { previewRevocation, type Revoked, revokeApiKey } from './revoke-api-key.ts';
export { hasRole } from './roles.ts';
export * from './rotate-api-key.ts';
export { allowsScope } from './scopes.ts';
export { findDeadKeys, type Identity, keyLapsed, type Operator, verifyKey } from './verify-api-key.ts';
