/**
 * Reports of a run: the records of `train` without paths, digests and series, as a process that trains sends them to others. The schemas
 * are checks, too: the receiver trusts no number, name or length. Loads no TensorFlow.
 */
import { type Static, type TSchema, Type } from 'typebox';
import type { ResolvedTraining } from '../config/index.ts';

export const closed = { additionalProperties: false } as const;
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** Text that Postgres accepts: without U+0000 and lone surrogates. */
export const text = (maxLength: number) => Type.String({ maxLength, pattern: /^[^\0\p{Surrogate}]*$/u });
/** Any number, including NaN and infinities. */
export const anyNumber = Type.Refine(
  Type.Unsafe<number>(Type.Unknown()),
  (value) => typeof value === 'number',
  () => 'must be a number',
);
/** Steps, trials and other counts that fit a Postgres integer. */
export const count = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 });
/** Tokens and bytes. */
export const large = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const word = Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' });

/** Schemas of messages from their fields by `type`. Each has the `type`, and no other field. */
export const messages = <Fields extends Record<string, Record<string, TSchema>>>(fields: Fields) =>
  Object.fromEntries(
    Object.entries(fields).map(([type, own]) => [
      type,
      Type.Object({ type: Type.Literal(type), ...own }, closed),
    ]),
  ) as { [Name in keyof Fields & string]: Type.TObject<{ type: Type.TLiteral<Name> } & Fields[Name]> };

/** A message that fits one of the schemas. */
export type MessageOf<Schemas extends Record<string, TSchema>> = {
  [Name in keyof Schemas]: Static<Schemas[Name]>;
}[keyof Schemas];

/** Maximum number of trials, candidates and names in a message. */
export const maxListed = 1000;
/** Metrics of an objective, and of each of 16 validation files. */
export const maxMetrics = 32 + 16 * 16;

/** Metrics by their wire names: see `objectives/<name>/objective.ts`. */
export const Metrics = Type.Record(word, anyNumber, { ...closed, maxProperties: maxMetrics });

/** Trial of a sweep's record: the trial's number, from 1, and its own step. The record's step counts the steps of all trials. */
const TrialRef = Type.Object({ trial: count, step: count }, closed);
export type TrialRef = Static<typeof TrialRef>;

/** By `metric_for_best_model`. */
const BestEvaluation = Type.Object(
  { step: count, metric: Type.Unsafe<ResolvedTraining['metric_for_best_model']>(word), value: anyNumber },
  closed,
);
export type BestEvaluation = Static<typeof BestEvaluation>;

/** Saving from common prefixes of the examples in a batch, which are computed once. */
const Sharing = Type.Object(
  {
    /** Share of all positions that are skipped because another sequence has the same; 0 without sharing. */
    savedFraction: anyNumber,
    /** The same as a sentence, or the reason why prefixes are not shared. */
    message: text(1000),
  },
  closed,
);
export type Sharing = Static<typeof Sharing>;

/** A trial as presented to users. */
const TrialRow = Type.Object(
  {
    /** Number of the trial, from 1. */
    trial: count,
    /**
     * `waiting`: it may continue; `running`; `stopped`: others were better at a rung; `diverged`: its loss was not a number; `won`: its
     * adapter is published.
     */
    status: Type.Enum(['waiting', 'running', 'stopped', 'diverged', 'won']),
    /** Optimizer steps that the trial itself has done. */
    step: count,
    /** Validation loss at each rung that it has reached; null: not a number. `value`: of metric_for_best_model, unless that is the loss. */
    rungs: Type.Array(
      Type.Object(
        { step: count, loss: nullable(Type.Number()), value: Type.Optional(nullable(Type.Number())) },
        closed,
      ),
      { maxItems: maxListed },
    ),
  },
  closed,
);
export type TrialRow = Static<typeof TrialRow>;
const Trials = Type.Array(TrialRow, { maxItems: maxListed });

/** The decision of the reference pass about the learning rate. `isKnown`: the run uses `learning_rate_if_known`. */
const RateDecision = Type.Object({ preferred: anyNumber, logp: anyNumber, isKnown: Type.Boolean() }, closed);
export type RateDecision = Static<typeof RateDecision>;

const triedValue = Type.Union([Type.Number(), Type.Boolean(), Type.Null(), text(200)]);
const tried = <Value extends TSchema>(value: Value) =>
  Type.Record(word, value, { ...closed, maxProperties: 16 });
const TriedPreference = tried(Type.Union([triedValue, Type.Array(triedValue, { maxItems: 8 })]));

/** Losses are in nats per labelled token, classified text or pair; for scored pairs they are squared differences. */
export const reports = messages({
  start: {
    trainableParameters: large,
    totalParameters: large,
    totalSteps: count,
    examples: count,
    tokensPerEpoch: large,
    paddingFraction: anyNumber,
    /** Step of the checkpoint that the run continues; null when it starts from the beginning. */
    resumedFrom: nullable(count),
    /** Newer candidates that could not be continued. `reason` follows "not continued: ". */
    passedOver: Type.Array(Type.Object({ step: count, reason: text(1000) }, closed), { maxItems: maxListed }),
    precision: Type.Enum(['fp32', 'bf16']),
    sharing: Sharing,
    /** Null except for a sweep. */
    trials: nullable(Trials),
  },
  /** Examples whose layers' inputs are read for start values, before the first step; not all may be needed. */
  inputs: { done: count, of: count, ended: Type.Boolean() },
  /** Examples whose log-probabilities under the reference model are computed, before the first step. The last one has the decision. */
  reference: { done: count, of: count, decided: Type.Optional(RateDecision) },
  step: {
    step: count,
    totalSteps: count,
    epoch: Type.Number(),
    loss: Type.Number(),
    /** Share of correct tokens, classes or pairs; null for scored pairs. */
    tokenAccuracy: nullable(anyNumber),
    learningRate: Type.Number(),
    gradNorm: anyNumber,
    /** Trained so far, without padding. */
    tokens: large,
    tokensPerSecond: anyNumber,
    /** Physical memory of this process after the step: see `residentMemory`. */
    memoryBytes: large,
    /** The objective's metrics that are measured in steps, by name; absent if there are none. */
    metrics: Type.Optional(Metrics),
    secondsRemaining: anyNumber,
    trialRef: Type.Optional(TrialRef),
  },
  evaluation: {
    step: count,
    loss: anyNumber,
    tokenAccuracy: nullable(anyNumber),
    metrics: Metrics,
    trialRef: Type.Optional(TrialRef),
  },
  /** The curve shows that an option was chosen badly. At most one of each kind; a resumed run repeats earlier ones. */
  advice: {
    kind: Type.Enum([
      'diverging',
      'flat',
      'no_gradient',
      'overfitting',
      'undecided',
      'margin_exploding',
      'chosen_unlikely',
    ]),
    /** The step at which the problem shows. */
    step: count,
    message: text(2000),
    /** Options of `training` or `peft` to set in the next job; among them `preference`, an object of options. */
    try: Type.Unsafe<Record<string, unknown>>(tried(Type.Union([triedValue, TriedPreference]))),
  },
  /** For a sweep, whenever a trial has reached a rung or is out. */
  trials: { trials: Trials },
  checkpoint: { step: count, seconds: Type.Number({ minimum: 0 }) },
  /** The adapter files of this step. */
  snapshot: {
    step: count,
    trainedTokens: large,
    /** The best evaluation so far; null without validation data. */
    best: nullable(BestEvaluation),
    trainingLoss: anyNumber,
    trainingAccuracy: nullable(anyNumber),
    validationLoss: nullable(anyNumber),
    validationAccuracy: nullable(anyNumber),
    metrics: Metrics,
  },
  /** The adapter of this step could not be written; `reason` is the code of the failed system call. */
  snapshot_lost: { step: count, reason: Type.String({ pattern: '^[A-Z0-9]{1,30}$' }) },
  stopped: { step: count },
  done: {
    /** Optimizer steps done; for a sweep, those of its winner. */
    steps: count,
    /** Step of the published adapter: the best evaluation's with `load_best_model_at_end`, else the last. */
    publishedStep: count,
    /** Number of planned steps; more than `steps` when the run stopped early. */
    totalSteps: count,
    /** Null without validation data. */
    best: nullable(BestEvaluation),
    /** Number of consecutive last evaluations without a gain, for a run with `early_stopping_patience`. */
    evaluationsWithoutGain: count,
    trainedTokens: large,
    /** Training loss of the last step. */
    finalLoss: anyNumber,
    /** Loss of the published adapter. */
    validationLoss: nullable(anyNumber),
    /** Metrics of the published adapter on validation examples, by wire name. */
    metrics: Metrics,
    /** With `verify`: the live model's loss, on the validation examples or the first training examples. */
    verification: nullable(
      Type.Object(
        { loss: anyNumber, examples: count, measuredOn: Type.Enum(['validation', 'training']) },
        closed,
      ),
    ),
    /** Peak memory of this process since the run began. */
    peakMemoryBytes: large,
    /** For a sweep. `trial`: its number, from 1. */
    winner: Type.Optional(
      Type.Object({ trial: count, trainableParameters: large, totalParameters: large }, closed),
    ),
  },
});
export type Report = MessageOf<typeof reports>;
export type ReportOf<Name extends keyof typeof reports> = Static<(typeof reports)[Name]>;
