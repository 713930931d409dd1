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
