import type { PeftConfig, ResolvedTraining } from '../config.ts';
import type { BaseModel } from '../formats/index.ts';
import type { WarmModel } from './warm-model.ts';

export interface TrainOptions {
  base: BaseModel;
  /** Name written to adapter_config.json as base_model_name_or_path. */
  baseModelName: string;
  trainingFile: string;
  validationFile?: string | null;
  peft: PeftConfig;
  training: ResolvedTraining;
  /** Where the adapter's files go; made when it is not there. */
  outputDir: string;
  /** Where checkpoints go; none are written without it. */
  checkpointDir?: string | null;
  /** Continue from the newest valid checkpoint in checkpointDir. */
  resume?: boolean;
  /** Start from an adapter's files instead of fresh values. */
  initialAdapter?: string | null;
  /** Measure the finished adapter, also without validation data, so that `proveAdapter` can hold its files against it. */
  prove?: boolean;
  /** Aborting ends training before the next step, with a checkpoint when `checkpointDir` is set. */
  signal?: AbortSignal;
  /** Keeps the loaded model between calls of one process. */
  warm?: WarmModel;
}

/** What `train` tells as it goes. Losses are in nats per labelled token. */
export type TrainRecord =
  | {
      type: 'start';
      trainableParameters: number;
      totalParameters: number;
      totalSteps: number;
      examples: number;
      tokensPerEpoch: number;
      paddingFraction: number;
      resumedFrom: number | null;
      precision: 'fp32' | 'bf16';
    }
  | {
      type: 'step';
      step: number;
      totalSteps: number;
      epoch: number;
      loss: number;
      tokenAccuracy: number;
      learningRate: number;
      gradNorm: number;
      /** Trained so far, padding not counted. */
      tokens: number;
      tokensPerSecond: number;
      secondsRemaining: number;
    }
  | { type: 'evaluation'; step: number; loss: number; tokenAccuracy: number }
  | { type: 'checkpoint'; step: number; dir: string }
  | { type: 'stopped'; step: number }
  | {
      type: 'done';
      adapterDir: string;
      steps: number;
      trainedTokens: number;
      finalLoss: number;
      validationLoss: number | null;
      /** With `prove`: the live model's loss, on the validation examples or the first of the training file. */
      proof: { loss: number; examples: number; measuredOn: 'validation' | 'training' } | null;
      peakMemoryBytes: number;
      files: { path: string; bytes: number; sha256: string }[];
    };
