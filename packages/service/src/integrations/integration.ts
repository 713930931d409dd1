/**
 * Vocabulary
 * - integration: a team's account at an experiment tracking service, or at the Hugging Face Hub: its URL and its secret.
 * - tracker: the client of one kind of service (`trackers/`).
 * - run: the service's record of one job.
 */
import type { Integration as IntegrationRow } from '../generated/client.ts';
import type { ExitMaker } from '../keys/exits.ts';

/** Services that take the metrics of jobs. */
export const trackerTypes = ['wandb', 'mlflow', 'trackio'] as const;
export type TrackerType = (typeof trackerTypes)[number];

export const integrationTypes = [...trackerTypes, 'huggingface'] as const;
export type IntegrationType = (typeof integrationTypes)[number];

/** A team's integration; a team has at most one of each type. */
export interface Integration extends ExitMaker {
  id: string;
  teamId: string;
  type: IntegrationType;
  url: string;
  /** User name for HTTP basic authentication; null: the secret is a key or token, or there is none. */
  username: string | null;
  /** The secret itself is never returned. */
  hasSecret: boolean;
  /** Since then nothing is sent there; setting its URL or secret again enables it. */
  disabledAt: Date | null;
  disabledReason: string | null;
  createdAt: Date;
  updatedAt: Date;
}

/** Default URLs of the services; null for services that every team hosts itself. The operator sets that of the Hub. */
export const defaultUrls: Record<TrackerType, string | null> = {
  wandb: 'https://api.wandb.ai',
  mlflow: null,
  trackio: null,
};

export function integrationOf({ type, sealed, sealedBy: _, ...columns }: IntegrationRow): Integration {
  return { ...columns, type: type as IntegrationType, hasSecret: sealed !== null };
}
