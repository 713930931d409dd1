/** Where to send a job's metrics: OpenAI's request shape for wandb, and the same shape for the other trackers. */
export type JobIntegrationRequest =
  | { type: 'wandb'; wandb: WandbSettings }
  | { type: 'mlflow'; mlflow: MlflowSettings }
  | { type: 'trackio'; trackio: TrackioSettings };

export type WandbSettings = {
  project: string;
  /** Default: the job's id. */
  name?: string | null;
  /** User or team that owns the project; default: the API key's own entity. */
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
