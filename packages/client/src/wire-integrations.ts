export type IntegrationType = 'wandb' | 'mlflow' | 'trackio';

/** Where a team tracks its experiments. */
export interface Integration {
  id: string;
  object: 'integration';
  created_at: number;
  updated_at: number;
  type: IntegrationType;
  url: string;
  username: string | null;
  /** The secret itself is never given out. */
  has_secret: boolean;
}

/** What is absent stays as it is; null takes it away. */
export interface IntegrationParams {
  url?: string;
  username?: string | null;
  /** API key, token or password. */
  secret?: string | null;
}

/** Where a job's metrics are sent. */
export type JobIntegration =
  | {
      type: 'wandb';
      wandb: { project: string; name?: string | null; entity?: string | null; tags?: string[] };
    }
  | {
      type: 'mlflow';
      mlflow: { experiment: string; name?: string | null; tags?: Record<string, string> };
    }
  | { type: 'trackio'; trackio: { project: string; name?: string | null; group?: string | null } };
