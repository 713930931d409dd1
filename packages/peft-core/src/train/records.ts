import type { PeftConfig, ResolvedTraining } from '../config/index.ts';
import type { DataFiles, TrainingData } from '../examples/index.ts';
import type { AdapterCard, BaseModel, WrittenFile } from '../files.ts';
import type { CheckpointCandidate } from './checkpoints/manifest.ts';
import type { MetricSeries } from './checkpoints/metric-series.ts';
import type { WrittenCheckpoint } from './checkpoints/write-checkpoint.ts';
import type { Requirements } from './precision.ts';
import type { Report, ReportOf, TrialRow } from './reports.ts';
import type { WarmModel } from './warm-model.ts';

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

/** Measurements of one trial between two rungs. */
export interface SweepStretch {
  /** Number of the trial, from 1. */
  trial: number;
  /** Sweep step minus the trial's own step. */
  offset: number;
  /** The trial's own step of the first row of `train`. Steps of evaluations are also the trial's own. */
  firstStep: number;
  /** Tokens count those of all trials so far. */
  series: MetricSeries;
}

/** Records yielded by `train` and by `trainSweep`, whose steps and tokens count those of all trials: see `reports`. */
export type TrainRecord =
  | (Omit<ReportOf<'start'>, 'trials'> & {
      /** Measurements up to the step `resumedFrom`; null if that is. */
      series: MetricSeries | null;
      /** For a sweep: its trials, and in place of `series` the measurements of each trial, in order. */
      sweep?: { trials: TrialRow[]; stretches: SweepStretch[] };
    })
  | Exclude<Report, { type: 'start' | 'checkpoint' | 'snapshot' | 'done' }>
  | (ReportOf<'checkpoint'> & WrittenCheckpoint)
  /** The adapter files are in their own folder, which the consumer removes. */
  | (ReportOf<'snapshot'> & { dir: string; files: WrittenFile[] })
  | (ReportOf<'done'> & { adapterDir: string; files: WrittenFile[] });

export type RecordOf<Type extends TrainRecord['type']> = Extract<TrainRecord, { type: Type }>;
