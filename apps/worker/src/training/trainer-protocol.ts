/**
 * Messages between the worker and its trainer, a child process that computes one job at a time and knows nothing of Postgres, queues or
 * teams. The worker does not trust the messages: they contain no paths, and the worker checks the files themselves.
 */
import type { AdapterVerification, Requirements, ServedLimit } from '@graft/peft-core';
import {
  type Comparison,
  namesOfColumns,
  type PeftConfig,
  type ResolvedTraining,
  type SweepTrial,
} from '@graft/peft-core/config';
import type { TrainingFile, ValidationFile } from '@graft/peft-core/examples';
import {
  anyNumber,
  closed,
  count,
  large,
  type MessageOf,
  Metrics,
  maxListed,
  messages,
  nullable,
  type Report,
  type ReportOf,
  reports,
  text,
  word,
} from '@graft/peft-core/reports';
import { type Static, Type } from 'typebox';
import type { Precision } from '../devices.ts';
import {
  type Check,
  checkerOf,
  commonCalls,
  commonEvents,
  FileListSchema,
  setColumns,
} from '../processes/message-schemas.ts';

/** Maximum number of rows in one part of a series. */
export const seriesRows = 1000;

const column = Type.Array(anyNumber, { maxItems: seriesRows });
const largeOrNaN = Type.Refine(
  anyNumber,
  (value) => Number.isNaN(value) || (Number.isSafeInteger(value) && value >= 0),
  () => 'must be a count or NaN',
);
const integers = Type.Array(large, { maxItems: seriesRows });
const metricColumns: Record<string, Type.TOptional<typeof column>> = Object.fromEntries(
  [...namesOfColumns.keys()].map((name) => [name, Type.Optional(column)]),
);
/** A part of the metrics before the checkpoint that a run resumes from, in columns. Parts are sent in order, before `start`. */
const series = {
  /** Number of the trial in a sweep, from 1; otherwise null. */
  trial: nullable(count),
  /** Steps of the sweep before the trial's step 0. */
  offset: count,
  /** Step of the first row of `train`. */
  firstStep: count,
  train: Type.Object(
    {
      epoch: column,
      loss: column,
      tokenAccuracy: column,
      learningRate: column,
      gradNorm: column,
      tokens: integers,
      tokensPerSecond: column,
      memoryBytes: Type.Array(largeOrNaN, { maxItems: seriesRows }),
    },
    closed,
  ),
  /** Evaluations at steps of `train`. */
  evaluation: Type.Object({ step: integers, loss: column, tokenAccuracy: column, ...metricColumns }, closed),
  sets: Type.Optional(setColumns(column)),
};

const events = messages({
  /** `TrainerMessageCheck` checks the order of records. */
  record: { record: Type.Unsafe<Report>(Type.Unknown()) },
  series,
  verification: {
    verification: Type.Unsafe<AdapterVerification>(
      Type.Object(
        {
          reloadedLoss: anyNumber,
          baseLoss: anyNumber,
          moved: Type.Boolean(),
          served: nullable(Type.Object({ loss: anyNumber, metrics: Metrics }, closed)),
        },
        closed,
      ),
    ),
  },
  /** The kernel sets that are available in this process, best first. */
  kernels: { sets: Type.Array(text(64), { maxItems: 32 }) },
  /** Floating-point operations per second in matrix products, in the precision of the check. */
  speed: { flops: Type.Number({ minimum: 0 }) },
});
/** `stopped`: the last record before it reports the checkpoint. */
const results = messages({ finished: {}, stopped: {} });
export type SeriesPart = Static<typeof events.series>;

/** A report as the worker passes it on: `start` includes the earlier metrics. */
export type TrainerRecord =
  | Exclude<Report, { type: 'start' }>
  | (ReportOf<'start'> & { series: readonly SeriesPart[] });
export type TrainerRecordOf<Name extends TrainerRecord['type']> = Extract<TrainerRecord, { type: Name }>;

const path = text(4096);
const options = Type.Object({}, { additionalProperties: true });
const precision = Type.Enum(['fp32', 'bf16']);
/** The base model, files and options of a job, as plain data. All paths are absolute. */
const onFiles = {
  /** Folder or file of the base model. */
  basePath: path,
  /** Folder where the digest of the base model is cached, so that a large model is hashed only once. */
  digestCache: path,
  /** Catalogue id of the base model. */
  baseModelName: text(1000),
  trainingFile: path,
  validationFile: nullable(path),
  /** All files of a job with lists of files; absent or null: those two. */
  trainingFiles: Type.Optional(nullable(Type.Unsafe<readonly TrainingFile[]>(FileListSchema))),
  validationFiles: Type.Optional(nullable(Type.Unsafe<readonly ValidationFile[]>(FileListSchema))),
  peft: Type.Unsafe<PeftConfig>(options),
  /** `precision` is that of the trainer's process. */
  training: Type.Unsafe<ResolvedTraining & { precision: Precision }>(options),
  method: word,
  /** The other settings that results depend on; the same in all attempts of the job. */
  requirements: Type.Unsafe<Requirements>(options),
  /** Folder of the adapter that training continues from, and its digest; null: newly initialised values. */
  initialAdapter: nullable(path),
  initialName: nullable(text(1000)),
};
/** One job. */
const TrainingRequest = Type.Object(
  {
    ...onFiles,
    /** Name of the base model in adapter_config.json, by which others find it: its id on the Hub, if it has one. */
    publicBaseName: text(1000),
    /** The trials of a sweep; null for other jobs. The first has the values of `peft` and `training`. */
    trials: nullable(Type.Array(Type.Unsafe<SweepTrial<ResolvedTraining>>(options), { maxItems: maxListed })),
    comparison: Type.Optional(Type.Unsafe<Comparison>(word)),
    /** Folder for the adapter. A sweep writes its winner to a subfolder named by the trial. */
    outputDir: path,
    /** Folder for the adapters of intermediate steps, each in a subfolder named by the step; absent: they are not kept. */
    snapshotDir: Type.Optional(path),
    /** Folder for this attempt's checkpoints, each in a subfolder named by the step; and the candidates to resume from, newest first. */
    checkpoints: Type.Object(
      {
        dir: path,
        candidates: Type.Array(Type.Object({ dir: path, step: count, digest: nullable(text(64)) }, closed)),
      },
      closed,
    ),
  },
  closed,
);
/** A finished job's files, to be loaded like any adapter and measured on the same data as the live model. */
const VerificationRequest = Type.Object(
  {
    ...onFiles,
    adapterDir: path,
    /** Set where training used a quantised base: also measure on the base as served. */
    served: Type.Optional(Type.Unsafe<ServedLimit>(Type.Object({ memoryBytes: nullable(large) }, closed))),
  },
  closed,
);
export type TrainingRequest = Static<typeof TrainingRequest>;
export type VerificationRequest = Static<typeof VerificationRequest>;

const calls = messages({
  train: { request: TrainingRequest },
  /** Answered by a `verification`, then `finished`; or `failed`. */
  verify: { request: VerificationRequest },
  /**
   * Computes something with a known result, on `device` only. Answered by `kernels`, then (with `measure`) `speed`, then `finished`;
   * or by `failed`.
   */
  prove: { precision, device: Type.Enum(['cpu', 'gpu']), measure: Type.Boolean() },
});

export interface TrainerMessages {
  call: MessageOf<typeof calls>;
  event: MessageOf<typeof events>;
  result: MessageOf<typeof results>;
}

const checkReport = checkerOf(reports);
const checkMessage = checkerOf({ ...commonEvents, ...events, ...results });

export const checkTrainer: Check = (message) =>
  checkMessage(message) ??
  ((message as { type: string }).type === 'record'
    ? checkReport((message as { record: unknown }).record)
    : null);

export const checkTrainerCall = checkerOf({ ...commonCalls, ...calls });
