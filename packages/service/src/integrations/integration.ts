/**
 * Vocabulary
 * - integration: a team's account at a service that tracks experiments: its URL and its secret.
 * - tracker: what Graft knows of one kind of service (`trackers/`).
 * - run: what a service calls the record of one job.
 */
import type { Integration as IntegrationRow } from '../generated/client.ts';

export const integrationTypes = ['wandb', 'mlflow', 'trackio'] as const;
export type IntegrationType = (typeof integrationTypes)[number];

/** One of a team's; it has at most one of each type. */
export interface Integration {
  id: string;
  teamId: string;
  type: IntegrationType;
  url: string;
  /** Of HTTP's basic scheme; null: the secret is a key or a token, or there is none. */
  username: string | null;
  /** The secret itself is never given out. */
  hasSecret: boolean;
  createdAt: Date;
  updatedAt: Date;
}

/** Where each of them is unless the team says otherwise; null: everybody runs their own. */
export const defaultUrls: Record<IntegrationType, string | null> = {
  wandb: 'https://api.wandb.ai',
  mlflow: null,
  trackio: null,
};

export function integrationOf({ type, sealed, sealedBy: _, ...columns }: IntegrationRow): Integration {
  return { ...columns, type: type as IntegrationType, hasSecret: sealed !== null };
}
