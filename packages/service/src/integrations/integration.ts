/**
 * Vocabulary
 * - integration: a team's account at an experiment tracking service, or at the Hugging Face Hub: its URL and its secret.
 * - tracker: the client of one kind of service (`trackers/`).
 * - run: the service's record of one job.
 */
import type { IntegrationType } from '@graft/wire/lists';
import type { Integration as IntegrationRow } from '../generated/client.ts';
import type { ExitMaker } from '../keys/exits.ts';

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

export function integrationOf({ type, sealed, sealedBy: _, ...columns }: IntegrationRow): Integration {
  return { ...columns, type: type as IntegrationType, hasSecret: sealed !== null };
}
