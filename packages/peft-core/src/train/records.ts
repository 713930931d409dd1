import type { PeftConfig, ResolvedTraining } from '../config/index.ts';
import type { TrainingData } from '../examples/index.ts';
import type { AdapterCard, BaseModel, WrittenFile } from '../files.ts';
import type { Advice } from './advice/advice.ts';
import type { Sharing } from './advice/sharing.ts';
import type { CheckpointCandidate } from './checkpoints/manifest.ts';
import type { MetricSeries } from './checkpoints/metric-series.ts';
import type { PassedOver } from './checkpoints/read-checkpoint.ts';
import type { WrittenCheckpoint } from './checkpoints/write-whole.ts';
import type { Measurement, Metrics } from './evaluation.ts';
import type { Requirements } from './precision.ts';
import type { SweepStretch, TrialRow, Winner } from './sweep/sweep-records.ts';
import type { WarmModel } from './warm-model.ts';

export interface TrainOptions {
  base: BaseModel;
  /** Name written to adapter_config.json as base_model_name_or_path. */
  baseModelName: string;
  trainingFile: string;
  validationFile?: string | null;
  peft: PeftConfig;
  training: ResolvedTraining;
  /** `method.type` of the request. Absent: the default of the data's format. */
  method?: string;
  /** Where the adapter's files go; made when it is not there. */
  outputDir: string;
  /**
   * `dir` is where this run writes checkpoints, it alone; none are written without it. It goes on from the first candidate
   * that is whole and its own: they come newest first.
   */
  checkpoints?: { dir: string; candidates: readonly CheckpointCandidate[] } | null;
  /** Folder for the adapters of evaluations, or without validation data of training epochs; none are written without it. */
  snapshotDir?: string | null;
  /** What must be so in this process; else `requirements_not_met`, a fault of the environment. */
  requirements?: Requirements;
  /** Start from an adapter's files instead of fresh values. A soft prompt is then trained itself, without an encoder. */
  initialAdapter?: string | null;
  /** What checkpoints know that adapter by. Default: its folder, which may be another on another machine. */
  initialName?: string | null;
  /** Start from a safetensors file that holds every trained parameter, encoders included, under its name in a PEFT model. */
  initialParameters?: string | null;
  /** The examples of those files, where they are read already: as `peft` and `training` would have them. */
  data?: TrainingData;
  /** False: what examples begin with in common is computed for each, to tell what sharing it is worth. */
  sharesBeginnings?: boolean;
  /** Stop after this step with a checkpoint, as if asked to. The adapter's files are written only without it. */
  until?: number;
  /** The sweep that the run was chosen from, for the adapter's README. */
  trials?: AdapterCard['trials'];
  /** Measure the finished adapter even without validation data, so that `verifyAdapter` can compare its files with it. */
  verify?: boolean;
  /** Aborting ends training before the next step, with a checkpoint when `checkpointDir` is set. */
  signal?: AbortSignal;
  /** Keeps the loaded model between calls of one process. */
  warm?: WarmModel;
  /** Goes on the weights of the warm model beside the adapters there, where it can. */
  sharesBase?: boolean;
}

/** By `metric_for_best_model`. */
export interface BestEvaluation {
  step: number;
  metric: ResolvedTraining['metric_for_best_model'];
  value: number;
}

/** Of a sweep's record, whose step counts those of all trials: the trial's number, from 1, and the step of its own. */
export interface OfTrial {
  trial: number;
  step: number;
}

/**
 * What `train` yields, and `trainSweep`: its steps and tokens are those of all trials. Losses are in nats per labelled token, classified text or pair; for scored pairs they are squared
 * differences.
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
      /** What was measured up to there; null with `resumedFrom`. */
      series: MetricSeries | null;
      /** Candidates before that one: they cannot be continued. */
      passedOver: PassedOver[];
      precision: 'fp32' | 'bf16';
      sharing: Sharing;
      /** Of a sweep: its trials, and instead of `series` what was measured of each, in order. */
      sweep?: { trials: TrialRow[]; stretches: SweepStretch[] };
    }
  | {
      type: 'step';
      step: number;
      totalSteps: number;
      epoch: number;
      loss: number;
      /** Share of tokens, classes or pairs that were right; null for scored pairs. */
      tokenAccuracy: number | null;
      learningRate: number;
      gradNorm: number;
      /** Trained so far, padding not counted. */
      tokens: number;
      tokensPerSecond: number;
      /** What this process holds in the machine's memory after the step: see `residentMemory`. */
      memoryBytes: number;
      /** Of the objective's metrics those that steps measure, by name; absent where there are none. */
      metrics?: Metrics;
      secondsRemaining: number;
      ofTrial?: OfTrial;
    }
  | ({ type: 'evaluation'; step: number; ofTrial?: OfTrial } & Measurement)
  /** The curve says that an option was chosen wrongly. One of each kind at most; a resumed run says again what it said before. */
  | ({ type: 'advice' } & Advice)
  /** Of a sweep, whenever one of its trials has come to a rung or is out. */
  | { type: 'trials'; trials: TrialRow[] }
  | ({ type: 'checkpoint'; step: number } & WrittenCheckpoint)
  /** The adapter of this step as its files, in a folder of their own; the reader takes the folder away. */
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
  /** The adapter of this step could not be written: by the system's code. */
  | { type: 'snapshot_lost'; step: number; reason: string }
  | { type: 'stopped'; step: number }
  | {
      type: 'done';
      adapterDir: string;
      /** Optimizer steps done. */
      steps: number;
      /** Of the best evaluation with `load_best_model_at_end`, else the last: whose adapter was written. */
      publishedStep: number;
      /** Steps that were planned; more than `steps` when the run was stopped early. */
      totalSteps: number;
      /** Null without validation data. */
      best: BestEvaluation | null;
      /** The last so many evaluations were no gain; of a run with `early_stopping_patience`. */
      evaluationsWithoutGain: number;
      trainedTokens: number;
      /** Training loss of the last step. */
      finalLoss: number;
      /** Of the adapter that was written. */
      validationLoss: number | null;
      /** Of the adapter that was written, on validation examples, by their names on the wire. */
      metrics: Metrics;
      /** With `verify`: the live model's loss, on the validation examples or the first of the training file. */
      verification: { loss: number; examples: number; measuredOn: 'validation' | 'training' } | null;
      /** The most that this process held at once since the run began. */
      peakMemoryBytes: number;
      files: WrittenFile[];
      /** Of a sweep, whose steps are here those of its winner. */
      winner?: Winner;
    };

export type RecordOf<Type extends TrainRecord['type']> = Extract<TrainRecord, { type: Type }>;
