/** What one-run.ts is asked to do. */
export interface RunPlan {
  model: string;
  modelName: string;
  trainingFile: string;
  heldOutFile: string;
  peft: Record<string, unknown>;
  training: Record<string, unknown>;
  outputDir: string;
  /** False: only measure the untrained model. */
  train: boolean;
  /** Names of a classifier's labels, in order; null for a language model, whose answers are compared. */
  labels: string[] | null;
}

export interface RunResult {
  trainableParameters: number;
  fileBytes: number;
  seconds: number;
  peakBytes: number;
  /** On the held-out examples, from 0 to 1. */
  accuracy: number;
  precision: 'fp32' | 'bf16';
}
