import type { PeftConfig, ResolvedTraining } from '@graft/peft-core/config';

/** What one process of bench/quantised-base is to do. */
export interface Plan {
  task: 'weights' | 'train' | 'answer';
  model: string;
  trainingFile: string;
  heldOutFile: string;
  peft: PeftConfig;
  training: ResolvedTraining;
  /** Where the adapter is written, or read. */
  adapter: string;
}

export interface TaskResults {
  /** What tells the weights apart in TensorFlow's log. */
  weights: { trainableParameters: number; vocabularySize: number; hiddenSize: number; linearValues: number };
  train: { tokensPerSecond: number; loadedBytes: number; peakBytes: number; heldOutLoss: number };
  answer: { right: number; of: number };
}
