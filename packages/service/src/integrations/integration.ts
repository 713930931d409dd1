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

/** Where a job's metrics shall be sent: OpenAI's shape for wandb, and the same for the others. */
export type JobIntegrationRequest =
  | { type: 'wandb'; wandb: WandbSettings }
  | { type: 'mlflow'; mlflow: MlflowSettings }
  | { type: 'trackio'; trackio: TrackioSettings };

export type WandbSettings = {
  project: string;
  /** Default: the job's id. */
  name?: string | null;
  /** Whose project; default: that of the key. */
  entity?: string | null;
  tags?: string[];
};

export type MlflowSettings = {
  experiment: string;
  /** Default: the job's id. */
  name?: string | null;
  tags?: Record<string, string>;
};

export type TrackioSettings = {
  project: string;
  /** Default: the job's id. */
  name?: string | null;
  group?: string | null;
};

/** Where each of them is unless the team says otherwise; null: everybody runs their own. */
export const defaultUrls: Record<IntegrationType, string | null> = {
  wandb: 'https://api.wandb.ai',
  mlflow: null,
  trackio: null,
};

export function integrationOf({ type, sealed, sealedBy: _, ...columns }: IntegrationRow): Integration {
  return { ...columns, type: type as IntegrationType, hasSecret: sealed !== null };
}
