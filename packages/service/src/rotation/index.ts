/** Rotation of the pepper and the sealing key. */
export { dropSecret, type Rotation, rotateSecrets } from './rotate-secrets.ts';
export { countUses, readSecretUses, type SecretUse } from './secret-uses.ts';
