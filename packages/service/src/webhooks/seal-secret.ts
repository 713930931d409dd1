/** Secrets that sign webhooks, and their encryption. */
import { randomBytes } from 'node:crypto';
import type { SealedFor } from '../secrets/sealed-secret.ts';

/** The row that a secret belongs to: the ciphertext of another row cannot be opened under it. */
export interface SecretOwner {
  teamId: string;
  endpointId: string;
  id: string;
}

/** 256 random bits, in the form of the Standard Webhooks specification. */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

export function sealedForWebhook({ teamId, endpointId, id }: SecretOwner): SealedFor {
  return { purpose: 'secrets of webhooks, 1', row: [teamId, endpointId, id] };
}
