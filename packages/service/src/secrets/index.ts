export { parseApiKey, parseOperatorKey } from './api-key.ts';
export { SecretRing } from './secret-ring.ts';
export type { Secrets } from './secrets.ts';
