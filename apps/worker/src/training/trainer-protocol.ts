/**
 * Messages between the worker and its trainer, a child process that computes one job at a time and knows nothing of Postgres, queues or
 * teams. The worker does not trust the messages: they contain no paths, and the worker checks the files themselves.
 */
import type { AdapterVerification, Requirements, ServedLimit } from '@graft/peft-core';
import type { CheckpointCandidate } from '@graft/peft-core/checkpoints';
import {
  type Comparison,
  namesOfColumns,
  type PeftConfig,
  type ResolvedTraining,
  type SweepTrial,
} from '@graft/peft-core/config';
import type { TrainingFile, ValidationFile } from '@graft/peft-core/examples';
import { type Static, type TSchema, Type } from 'typebox';
import type { Precision } from '../devices.ts';
import {
  adviceFields,
  anyNumber,
  type Check,
  checkerOf,
  closed,
  count,
  FailedSchema,
  FileListSchema,
  large,
  MetricsSchema,
  nullable,
  ReadySchema,
  StopSchema,
  setColumns,
  text,
  word,
} from '../processes/message-schemas.ts';

/** One job, as plain data. All paths are absolute. */
export interface TrainingRequest {
  /** Folder or file of the base model. */
  basePath: string;
  /** Folder where the digest of the base model is cached, so that a large model is hashed only once. */
  digestCache: string;
  /** Catalogue id of the base model, as written to adapter_config.json. */
  baseModelName: string;
  trainingFile: string;
  validationFile: string | null;
  /** All files of a job with lists of files; absent or null: those two. */
  trainingFiles?: readonly TrainingFile[] | null;
  validationFiles?: readonly ValidationFile[] | null;
  peft: PeftConfig;
  /** `precision` is that of the trainer's process. */
  training: ResolvedTraining & { precision: Precision };
  method: string;
  /** The trials of a sweep; null for other jobs. The first has the values of `peft` and `training`. */
  trials: SweepTrial<ResolvedTraining>[] | null;
  comparison?: Comparison;
  /** The other settings that results depend on; the same in all attempts of the job. */
  requirements: Requirements;
  /** Folder of the adapter that training continues from, and its digest; null: newly initialised values. */
  initialAdapter: string | null;
  initialName: string | null;
  /** Folder for the adapter. A sweep writes its winner to a subfolder named by the trial. */
  outputDir: string;
  /** Folder for the adapters of intermediate steps, each in a subfolder named by the step; absent: they are not kept. */
  snapshotDir?: string;
  /** Folder for this attempt's checkpoints, each in a subfolder named by the step; and the candidates to resume from, newest first. */
  checkpoints: { dir: string; candidates: CheckpointCandidate[] };
}

/** A finished job's files, to be loaded like any adapter and measured on the same data as the live model. */
export type VerificationRequest = Omit<
  TrainingRequest,
  'trials' | 'comparison' | 'outputDir' | 'snapshotDir' | 'checkpoints'
> & {
  adapterDir: string;
  /** Set where training used a quantised base: also measure on the base as served. */
  served?: ServedLimit;
};

/** Maximum number of trials, candidates and names in a message. */
const maxListed = 1000;
/** Maximum number of rows in one part of a series. */
export const seriesRows = 1000;

const TrialRef = Type.Object({ trial: count, step: count }, closed);
const BestSchema = Type.Object(
  {
    step: count,
    metric: Type.Unsafe<ResolvedTraining['metric_for_best_model']>(word),
    value: anyNumber,
  },
  closed,
);
const TrialsSchema = Type.Array(
  Type.Object(
    {
      trial: count,
      status: Type.Enum(['waiting', 'running', 'stopped', 'diverged', 'won']),
      step: count,
      rungs: Type.Array(
        Type.Object(
          { step: count, loss: nullable(Type.Number()), value: Type.Optional(nullable(Type.Number())) },
          closed,
        ),
        {
          maxItems: maxListed,
        },
      ),
    },
    closed,
  ),
  { maxItems: maxListed },
);
const report = <Type extends string, Properties extends Record<string, TSchema>>(
  type: Type,
  properties: Properties,
) => Type.Object({ type: Type.Literal(type), ...properties }, closed);

/** Schemas of a trainer's reports: the records of `train` without paths, digests and series. `TrainerMessageCheck` checks their order. */
const reports = {
  start: report('start', {
    trainableParameters: large,
    totalParameters: large,
    totalSteps: count,
    examples: count,
    tokensPerEpoch: large,
    paddingFraction: anyNumber,
    resumedFrom: nullable(count),
    passedOver: Type.Array(Type.Object({ step: count, reason: text(1000) }, closed), {
      maxItems: maxListed,
    }),
    precision: Type.Enum(['fp32', 'bf16']),
    sharing: Type.Object({ savedFraction: anyNumber, message: text(1000) }, closed),
    trials: nullable(TrialsSchema),
  }),
  inputs: report('inputs', { done: count, of: count, ended: Type.Boolean() }),
  reference: report('reference', {
    done: count,
    of: count,
    decided: Type.Optional(
      Type.Object({ preferred: anyNumber, logp: anyNumber, isKnown: Type.Boolean() }, closed),
    ),
  }),
  step: report('step', {
    step: count,
    totalSteps: count,
    epoch: Type.Number(),
    loss: Type.Number(),
    tokenAccuracy: nullable(anyNumber),
    learningRate: Type.Number(),
    gradNorm: anyNumber,
    tokens: large,
    tokensPerSecond: anyNumber,
    memoryBytes: large,
    metrics: Type.Optional(MetricsSchema),
    secondsRemaining: anyNumber,
    trialRef: Type.Optional(TrialRef),
  }),
  evaluation: report('evaluation', {
    step: count,
    loss: anyNumber,
    tokenAccuracy: nullable(anyNumber),
    metrics: MetricsSchema,
    trialRef: Type.Optional(TrialRef),
  }),
  advice: report('advice', adviceFields),
  trials: report('trials', { trials: TrialsSchema }),
  checkpoint: report('checkpoint', { step: count, seconds: Type.Number({ minimum: 0 }) }),
  snapshot: report('snapshot', {
    step: count,
    trainedTokens: large,
    best: nullable(BestSchema),
    trainingLoss: anyNumber,
    trainingAccuracy: nullable(anyNumber),
    validationLoss: nullable(anyNumber),
    validationAccuracy: nullable(anyNumber),
    metrics: MetricsSchema,
  }),
  snapshot_lost: report('snapshot_lost', {
    step: count,
    reason: Type.String({ pattern: '^[A-Z0-9]{1,30}$' }),
  }),
  stopped: report('stopped', { step: count }),
  done: report('done', {
    steps: count,
    publishedStep: count,
    totalSteps: count,
    best: nullable(BestSchema),
    evaluationsWithoutGain: count,
    trainedTokens: large,
    finalLoss: anyNumber,
    validationLoss: nullable(anyNumber),
    metrics: MetricsSchema,
    verification: nullable(
      Type.Object(
        { loss: anyNumber, examples: count, measuredOn: Type.Enum(['validation', 'training']) },
        closed,
      ),
    ),
    peakMemoryBytes: large,
    winner: Type.Optional(
      Type.Object({ trial: count, trainableParameters: large, totalParameters: large }, closed),
    ),
  }),
};

type Reports = { [Name in keyof typeof reports]: Static<(typeof reports)[Name]> };
export type Report = Reports[keyof Reports];
export type ReportOf<Name extends keyof Reports> = Reports[Name];

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
const SeriesSchema = Type.Object(
  {
    type: Type.Literal('series'),
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
    evaluation: Type.Object(
      { step: integers, loss: column, tokenAccuracy: column, ...metricColumns },
      closed,
    ),
    sets: Type.Optional(setColumns(column)),
  },
  closed,
);
export type SeriesPart = Static<typeof SeriesSchema>;

/** A report as the worker passes it on: `start` includes the earlier metrics. */
export type TrainerRecord =
  | Exclude<Report, { type: 'start' }>
  | (ReportOf<'start'> & { series: readonly SeriesPart[] });
export type TrainerRecordOf<Name extends TrainerRecord['type']> = Extract<TrainerRecord, { type: Name }>;

const eventSchemas = {
  verification: Type.Object(
    {
      type: Type.Literal('verification'),
      verification: Type.Object(
        {
          reloadedLoss: anyNumber,
          baseLoss: anyNumber,
          moved: Type.Boolean(),
          served: nullable(Type.Object({ loss: anyNumber, metrics: MetricsSchema }, closed)),
        },
        closed,
      ),
    },
    closed,
  ),
  kernels: Type.Object(
    { type: Type.Literal('kernels'), sets: Type.Array(text(64), { maxItems: 32 }) },
    closed,
  ),
  speed: Type.Object({ type: Type.Literal('speed'), flops: Type.Number({ minimum: 0 }) }, closed),
};

export interface TrainerMessages {
  call:
    | { type: 'train'; request: TrainingRequest }
    /** Answered by a `verification`, then `finished`; or `failed`. */
    | { type: 'verify'; request: VerificationRequest }
    /**
     * Computes something with a known result, on `device` only. Answered by `kernels`, then (with `measure`) `speed`, then `finished`;
     * or by `failed`.
     */
    | { type: 'prove'; precision: Precision; device: 'cpu' | 'gpu'; measure: boolean };
  event:
    | { type: 'record'; record: Report }
    | SeriesPart
    | { type: 'verification'; verification: AdapterVerification }
    /** The kernel sets that are available in this process, best first. */
    | { type: 'kernels'; sets: readonly string[] }
    /** Floating-point operations per second in matrix products, in the precision of the check. */
    | { type: 'speed'; flops: number };
  /** `stopped`: the last record before it reports the checkpoint. */
  result: { type: 'finished' } | { type: 'stopped' };
}

const checkReport = checkerOf(reports);
const checkMessage = checkerOf({
  ready: ReadySchema,
  record: Type.Object({ type: Type.Literal('record'), record: Type.Unknown() }, closed),
  series: SeriesSchema,
  ...eventSchemas,
  finished: Type.Object({ type: Type.Literal('finished') }, closed),
  stopped: Type.Object({ type: Type.Literal('stopped') }, closed),
  failed: FailedSchema,
});

export const checkTrainer: Check = (message) =>
  checkMessage(message) ??
  ((message as { type: string }).type === 'record'
    ? checkReport((message as { record: unknown }).record)
    : null);

const path = text(4096);
const options = Type.Object({}, { additionalProperties: true });
const onFiles = {
  basePath: path,
  digestCache: path,
  baseModelName: text(1000),
  trainingFile: path,
  validationFile: nullable(path),
  trainingFiles: Type.Optional(nullable(FileListSchema)),
  validationFiles: Type.Optional(nullable(FileListSchema)),
  peft: options,
  training: options,
  method: word,
  requirements: options,
  initialAdapter: nullable(path),
  initialName: nullable(text(1000)),
};

export const checkTrainerCall = checkerOf({
  stop: StopSchema,
  train: Type.Object(
    {
      type: Type.Literal('train'),
      request: Type.Object(
        {
          ...onFiles,
          trials: nullable(Type.Array(options, { maxItems: maxListed })),
          comparison: Type.Optional(word),
          outputDir: path,
          snapshotDir: Type.Optional(path),
          checkpoints: Type.Object(
            {
              dir: path,
              candidates: Type.Array(
                Type.Object({ dir: path, step: count, digest: nullable(text(64)) }, closed),
              ),
            },
            closed,
          ),
        },
        closed,
      ),
    },
    closed,
  ),
  verify: Type.Object(
    {
      type: Type.Literal('verify'),
      request: Type.Object(
        {
          ...onFiles,
          adapterDir: path,
          served: Type.Optional(Type.Object({ memoryBytes: nullable(large) }, closed)),
        },
        closed,
      ),
    },
    closed,
  ),
  prove: Type.Object(
    {
      type: Type.Literal('prove'),
      precision: Type.Enum(['fp32', 'bf16']),
      device: Type.Enum(['cpu', 'gpu']),
      measure: Type.Boolean(),
    },
    closed,
  ),
});
