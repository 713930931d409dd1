import type { PeftConfig, ResolvedTraining } from '../config/index.ts';
import type { DataFiles, TrainingData } from '../examples/index.ts';
import type { AdapterCard, BaseModel, WrittenFile } from '../files.ts';
import type { ReferenceFigures } from '../objectives/preference/known-answers.ts';
import type { Sharing } from './advice/sharing.ts';
import type { Advice } from './advice/tried-options.ts';
import type { CheckpointCandidate } from './checkpoints/manifest.ts';
import type { MetricSeries } from './checkpoints/metric-series.ts';
import type { SkippedCheckpoint } from './checkpoints/read-checkpoint.ts';
import type { WrittenCheckpoint } from './checkpoints/write-whole.ts';
import type { Measurement, Metrics } from './evaluation.ts';
import type { Requirements } from './precision.ts';
import type { SweepStretch, TrialRow, Winner } from './sweep/sweep-records.ts';
import type { WarmModel } from './warm-model.ts';

/** The decision of the reference pass about the learning rate, with the last record of the pass. */
export interface RateDecision extends ReferenceFigures {
  /** The run uses `learning_rate_if_known`. */
  isKnown: boolean;
}

export interface TrainOptions extends DataFiles {
  base: BaseModel;
  /** Name written to adapter_config.json as base_model_name_or_path. */
  baseModelName: string;
  peft: PeftConfig;
  training: ResolvedTraining;
  /** `method.type` of the request. Absent: the default of the data's format. */
  method?: string;
  /** Folder for the adapter's files; created if missing. */
  outputDir: string;
  /**
   * `dir`: folder in which this run alone writes checkpoints. The run resumes from the first candidate that is intact and belongs to
   * it; candidates are ordered newest first. null or absent: no checkpoints.
   */
  checkpoints?: { dir: string; candidates: readonly CheckpointCandidate[] } | null;
  /** Folder for the adapters of evaluations, or without validation data of training epochs. Absent: none are written. */
  snapshotDir?: string | null;
  /** Conditions that this process must fulfil; else training throws `requirements_not_met`, a fault of the environment. */
  requirements?: Requirements;
  /** Adapter folder to start from instead of fresh values. A soft prompt is then trained directly, without an encoder. */
  initialAdapter?: string | null;
  /** Identifies that adapter in checkpoints. Default: its folder, which may differ on another machine. */
  initialName?: string | null;
  /** Safetensors file to start from, with every trained parameter, encoders included, under its name in a PEFT model. */
  initialParameters?: string | null;
  /** The examples of these files, if already read, as `peft` and `training` require them. */
  data?: TrainingData;
  /** False: common prefixes of examples are computed for each example, to measure what sharing saves. */
  sharesBeginnings?: boolean;
  /** Stop after this step with a checkpoint, as if requested. The adapter's files are written only without it. */
  until?: number;
  /** The sweep whose winner the run is, for the adapter's README. */
  trials?: AdapterCard['trials'];
  /** Measure the finished adapter even without validation data, so that `verifyAdapter` can compare its files with it. */
  verify?: boolean;
  /** Aborting ends training before the next step, with a checkpoint if `checkpoints` is set. */
  signal?: AbortSignal;
  /** Keeps the loaded model between calls in one process. */
  warm?: WarmModel;
  /** Adds the adapter to the warm model beside those that share its weights, where possible. */
  sharesBase?: boolean;
}

/** By `metric_for_best_model`. */
export interface BestEvaluation {
  step: number;
  metric: ResolvedTraining['metric_for_best_model'];
  value: number;
}

/** Trial of a sweep's record: the trial's number, from 1, and its own step. The record's step counts the steps of all trials. */
export interface TrialRef {
  trial: number;
  step: number;
}

/**
 * Records yielded by `train` and by `trainSweep`, whose steps and tokens count those of all trials. Losses are in nats per labelled
 * token, classified text or pair; for scored pairs they are squared differences.
 */
export type TrainRecord =
  | {
      type: 'start';
      trainableParameters: number;
      totalParameters: number;
      totalSteps: number;
      examples: number;
      tokensPerEpoch: number;
      paddingFraction: number;
      /** Step of the checkpoint that the run continues; null when it starts from the beginning. */
      resumedFrom: number | null;
      /** Measurements up to that step; null if `resumedFrom` is. */
      series: MetricSeries | null;
      /** Newer candidates that could not be continued. */
      passedOver: SkippedCheckpoint[];
      precision: 'fp32' | 'bf16';
      sharing: Sharing;
      /** For a sweep: its trials, and in place of `series` the measurements of each trial, in order. */
      sweep?: { trials: TrialRow[]; stretches: SweepStretch[] };
    }
  /** Examples whose log-probabilities under the reference model are computed, before the first step. */
  | { type: 'reference'; done: number; of: number; decided?: RateDecision }
  /** Examples whose layers' inputs are read for start values, before the first step; not all may be needed. */
  | { type: 'inputs'; done: number; of: number; ended: boolean }
  | {
      type: 'step';
      step: number;
      totalSteps: number;
      epoch: number;
      loss: number;
      /** Share of correct tokens, classes or pairs; null for scored pairs. */
      tokenAccuracy: number | null;
      learningRate: number;
      gradNorm: number;
      /** Trained so far, without padding. */
      tokens: number;
      tokensPerSecond: number;
      /** Physical memory of this process after the step: see `residentMemory`. */
      memoryBytes: number;
      /** The objective's metrics that are measured in steps, by name; absent if there are none. */
      metrics?: Metrics;
      secondsRemaining: number;
      trialRef?: TrialRef;
    }
  | ({ type: 'evaluation'; step: number; trialRef?: TrialRef } & Measurement)
  /** The curve shows that an option was chosen badly. At most one of each kind; a resumed run repeats earlier ones. */
  | ({ type: 'advice' } & Advice)
  /** For a sweep, whenever a trial has reached a rung or is out. */
  | { type: 'trials'; trials: TrialRow[] }
  | ({ type: 'checkpoint'; step: number } & WrittenCheckpoint)
  /** The adapter files of this step, in their own folder, which the consumer removes. */
  | {
      type: 'snapshot';
      step: number;
      dir: string;
      files: WrittenFile[];
      trainedTokens: number;
      /** The best evaluation so far; null without validation data. */
      best: BestEvaluation | null;
      trainingLoss: number;
      trainingAccuracy: number | null;
      validationLoss: number | null;
      validationAccuracy: number | null;
      metrics: Metrics;
    }
  /** The adapter of this step could not be written; `reason` is the code of the failed system call. */
  | { type: 'snapshot_lost'; step: number; reason: string }
  | { type: 'stopped'; step: number }
  | {
      type: 'done';
      adapterDir: string;
      /** Optimizer steps done. */
      steps: number;
      /** Step of the published adapter: the best evaluation's with `load_best_model_at_end`, else the last. */
      publishedStep: number;
      /** Number of planned steps; more than `steps` when the run stopped early. */
      totalSteps: number;
      /** Null without validation data. */
      best: BestEvaluation | null;
      /** Number of consecutive last evaluations without a gain, for a run with `early_stopping_patience`. */
      evaluationsWithoutGain: number;
      trainedTokens: number;
      /** Training loss of the last step. */
      finalLoss: number;
      /** Loss of the published adapter. */
      validationLoss: number | null;
      /** Metrics of the published adapter on validation examples, by wire name. */
      metrics: Metrics;
      /** With `verify`: the live model's loss, on the validation examples or the first training examples. */
      verification: { loss: number; examples: number; measuredOn: 'validation' | 'training' } | null;
      /** Peak memory of this process since the run began. */
      peakMemoryBytes: number;
      files: WrittenFile[];
      /** For a sweep, in which case `steps` are those of its winner. */
      winner?: Winner;
    };

export type RecordOf<Type extends TrainRecord['type']> = Extract<TrainRecord, { type: Type }>;
