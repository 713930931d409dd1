import path from 'node:path';
import {
  type Comparison,
  invocationOf,
  leadingPositions,
  optimizerSteps,
  type ResolvedTraining,
  type Rung,
  rungsOf,
  type SweepTrial,
} from '../../config/index.ts';
import { GraftError } from '../../errors.ts';
import { examplesPerEpoch, type TrainingData } from '../../examples/index.ts';
import { bestMetricOf, columnsOfSet, EVAL_LOSS, everyColumn } from '../../objectives/metrics.ts';
import { objectiveFor } from '../../objectives/objectives.ts';
import { sha256 } from '../../sha256.ts';
import { makeFolder } from '../checkpoints/durable-files.ts';
import { type CheckpointCandidate, folderOfTrial } from '../checkpoints/manifest.ts';
import { evaluationAt, MetricLog, type MetricSeries } from '../checkpoints/metric-series.ts';
import { loadNewest, type SkippedCheckpoint } from '../checkpoints/read-checkpoint.ts';
import { meetRequirements } from '../machine/requirements.ts';
import { identityOf } from '../open-run.ts';
import type { SweepStretch, TrainOptions } from '../records.ts';
import type { TrialRow } from '../reports.ts';
import { setUpTraining } from '../setup.ts';
import { readSweepCheckpoint, type StoredTrial } from './sweep-checkpoint.ts';
import {
  type SweepProgress,
  type SweepSegment,
  sweepProgress,
  type TrialProgress,
} from './sweep-progress.ts';

/** Options of a sweep: those common to all trials, and the trials, which differ only in `peft` and `learning_rate`. */
export interface SweepOptions
  extends Omit<
    TrainOptions,
    'peft' | 'training' | 'checkpoints' | 'snapshotDir' | 'initialParameters' | 'data' | 'until' | 'trials'
  > {
  trials: readonly SweepTrial<ResolvedTraining>[];
  /** As for `train`, but required: a waiting trial is stored in a checkpoint. */
  checkpoints: NonNullable<TrainOptions['checkpoints']>;
  /** Used unless a checkpoint specifies it. Default: late. */
  comparison?: Comparison;
}

export interface RunningTrial {
  readonly options: TrainOptions;
  /** Folder of this trial's own checkpoints, written by this run alone. */
  readonly folder: string;
  log: MetricLog;
  diverged: boolean;
  checkpoint: CheckpointCandidate | null;
}

export class Sweep {
  readonly options: SweepOptions;
  readonly trials: readonly RunningTrial[];
  readonly rungs: readonly Rung[];
  readonly comparison: Comparison;
  /** As for a run: a checkpoint with another identity belongs to another sweep. */
  readonly identity: string;
  /** Step of the checkpoint that the sweep continues; null when it starts from the beginning. */
  readonly resumedFrom: number | null;
  readonly passedOver: SkippedCheckpoint[];
  /** Steps of all trials so far. */
  step: number;
  readonly #dataOf: (trial: TrainOptions) => Promise<TrainingData>;

  constructor(
    given: Pick<
      Sweep,
      'options' | 'trials' | 'rungs' | 'comparison' | 'identity' | 'resumedFrom' | 'passedOver'
    >,
    dataOf: (trial: TrainOptions) => Promise<TrainingData>,
  ) {
    this.options = given.options;
    this.trials = given.trials;
    this.rungs = given.rungs;
    this.comparison = given.comparison;
    this.identity = given.identity;
    this.resumedFrom = given.resumedFrom;
    this.passedOver = given.passedOver;
    this.step = this.resumedFrom ?? 0;
    this.#dataOf = dataOf;
  }

  get progress(): SweepProgress {
    return sweepProgress(this.rungs, this.#progress);
  }

  /** Steps of all trials, as far as is known: ties let more trials continue. */
  get totalSteps(): number {
    return this.progress.total;
  }

  /** Tokens of all other trials so far. */
  tokensBeside(trial: number): number {
    return this.trials.reduce((sum, each, i) => sum + (i === trial ? 0 : tokensOf(each)), 0);
  }

  get stretches(): SweepStretch[] {
    return seriesByTrial(
      this.rungs,
      this.#progress,
      this.trials.map(({ log }) => log.series),
    );
  }

  /** The trials as a checkpoint would store them now. */
  get kept(): StoredTrial[] {
    const { running } = this.progress;
    return this.trials.map(({ log, diverged, checkpoint }, trial) => ({
      series: log.series,
      diverged,
      checkpoint: running.has(trial) ? checkpoint : null,
    }));
  }

  get rows(): TrialRow[] {
    const { next, running, winner } = this.progress;
    const statusOf = (trial: number): TrialRow['status'] => {
      if (trial === winner) return 'won';
      if (this.trials[trial]!.diverged) return 'diverged';
      if (trial === next?.trial) return 'running';
      return running.has(trial) ? 'waiting' : 'stopped';
    };
    const isLoss = this.#metric === EVAL_LOSS;
    const finite = (number: number) => (Number.isFinite(number) ? number : null);
    return this.#progress.map(({ losses, measured }, trial) => ({
      trial: trial + 1,
      status: statusOf(trial),
      step: this.trials[trial]!.log.series.train.loss.length,
      rungs: losses.map((loss, at) => ({
        step: this.rungs[at]!.step,
        loss: finite(loss),
        ...(isLoss ? {} : { value: finite(measured[at]!) }),
      })),
    }));
  }

  /** Options for `train` to continue a trial. */
  async optionsOf(trial: number): Promise<TrainOptions> {
    const { options, folder, checkpoint } = this.trials[trial]!;
    const checkpoints = { dir: folder, candidates: checkpoint ? [checkpoint] : [] };
    return { ...options, checkpoints, data: await this.#dataOf(options) };
  }

  /** The metric that decides; sweeps started by earlier versions use only the loss. */
  get #metric(): ResolvedTraining['metric_for_best_model'] {
    const { metric_for_best_model: metric = EVAL_LOSS } = this.options.trials[0]!.training;
    return this.comparison === 'early' ? EVAL_LOSS : metric;
  }

  get #progress(): (TrialProgress & { measured: number[] })[] {
    const { greater_is_better: isGreater } = this.options.trials[0]!.training;
    return this.trials.map(({ log, diverged }) => {
      const { series } = log;
      const losses: number[] = [];
      const values: number[] = [];
      for (const rung of this.rungs) {
        const at = series.evaluation.step.indexOf(rung.step);
        if (at < 0) break;
        const evaluation = evaluationAt(series, at);
        losses.push(evaluation.loss);
        values.push(bestMetricOf(this.#metric, evaluation));
      }
      const progress = { losses, measured: values, diverged };
      if (this.#metric === EVAL_LOSS) return progress;
      return { ...progress, values: values.map((value) => (isGreater ? -value : value)) };
    });
  }
}

export function tokensOf({ log }: RunningTrial): number {
  return log.series.train.tokens.at(-1) ?? 0;
}

/**
 * Reads the data, plans the rungs, and restores the newest checkpoint that is intact and belongs to this sweep. Throws as `train` does,
 * and `invalid_sweep` without validation examples.
 */
export async function openSweep(options: SweepOptions): Promise<Sweep> {
  const { trials, checkpoints, comparison: asked, ...shared } = options;
  const work = path.join(checkpoints.dir, 'trials');
  await makeFolder(work);
  const given = trials.map(
    (trial, i): TrainOptions => ({
      ...shared,
      ...trial,
      outputDir: path.join(options.outputDir, folderOfTrial(i)),
    }),
  );
  const dataOf = sharedData();
  const [first] = given as [TrainOptions, ...TrainOptions[]];
  // Kernels are part of the sweep's identity, so they are selected before it is computed.
  meetRequirements(options.requirements, first.training.precision);
  const data = await dataOf(first);
  if (data.validation.length === 0) {
    const message = 'sweep: needs validation data, and there are no examples to compare trials on';
    throw new GraftError('invalid_sweep', message, { param: 'sweep' });
  }
  const { steps } = optimizerSteps(examplesPerEpoch(data), first.training);
  const { name: objective } = objectiveFor(first.peft.task_type, data.format, first.method);
  const baseDigest = await options.base.digest();
  const identities = given.map((each) => identityOf(each, data, baseDigest));
  const identity = sha256(JSON.stringify({ sweep: identities }));
  const { checkpoint, passedOver } = await loadNewest(checkpoints.candidates, (candidate) =>
    readSweepCheckpoint(candidate, identity, work),
  );
  const running = given.map((each, i): RunningTrial => {
    const kept = checkpoint?.trials[i];
    return {
      options: each,
      folder: path.join(work, folderOfTrial(i)),
      log: new MetricLog(kept?.series ?? null, [
        ...everyColumn,
        ...(data.validationSets ?? []).flatMap((set) => columnsOfSet(set.name, objective)),
      ]),
      diverged: kept?.diverged ?? false,
      checkpoint: kept?.checkpoint ?? null,
    };
  });
  // A worker of an earlier version may have continued the sweep: the comparison in its checkpoint takes precedence.
  const comparison = checkpoint?.comparison ?? asked ?? 'late';
  const rungs = rungsOf(trials.length, steps, first.training.eval_steps, comparison);
  const resumedFrom = checkpoint?.step ?? null;
  return new Sweep(
    { options, trials: running, rungs, comparison, identity, resumedFrom, passedOver },
    dataOf,
  );
}

/** Returns a trial's examples, read once for all trials that need the same. */
function sharedData(): (trial: TrainOptions) => Promise<TrainingData> {
  const made = new Map<string, TrainingData>();
  return async (trial) => {
    // Everything else that examples depend on is equal in all trials.
    const key = JSON.stringify([leadingPositions(trial.peft), invocationOf(trial.peft)]);
    const known = made.get(key) ?? (await setUpTraining(trial)).data;
    made.set(key, known);
    return known;
  };
}

/** All measurements of the trials so far, as one sequence of steps in the order of an uninterrupted sweep. */
function seriesByTrial(
  rungs: readonly Rung[],
  trials: readonly TrialProgress[],
  series: readonly MetricSeries[],
): SweepStretch[] {
  const tokens = trials.map(() => 0);
  return segmentsSoFar(rungs, trials).flatMap(({ trial, before, from, until }) => {
    const { train, evaluation } = series[trial]!;
    const end = Math.min(until, train.loss.length);
    if (end <= from) return [];
    const others = tokens.reduce((sum, each) => sum + each, 0) - tokens[trial]!;
    tokens[trial] = train.tokens[end - 1]!;
    const columns = cut(train, (row) => row >= from && row < end);
    const allTokens = columns.tokens.map((own) => others + own);
    const measured = cut(evaluation, (row) => evaluation.step[row]! > from && evaluation.step[row]! <= end);
    return [
      {
        trial: trial + 1,
        offset: before - from,
        firstStep: from + 1,
        series: { train: { ...columns, tokens: allTokens }, evaluation: measured },
      },
    ];
  });
}

/** The finished segments and the one in progress. */
function segmentsSoFar(rungs: readonly Rung[], trials: readonly TrialProgress[]): SweepSegment[] {
  const segments: SweepSegment[] = [];
  const then = trials.map(({ values }) => ({
    losses: [] as number[],
    diverged: false,
    ...(values && { values }),
  }));
  for (;;) {
    const { next } = sweepProgress(rungs, then);
    if (!next) return segments;
    segments.push(next);
    const [now, past] = [trials[next.trial]!, then[next.trial]!];
    if (now.losses.length > past.losses.length) past.losses.push(now.losses[past.losses.length]!);
    else if (now.diverged) past.diverged = true;
    else return segments;
  }
}

/** Copies the rows for which `takes` is true: sending a view would transfer its whole underlying buffer. */
function cut<Columns extends Record<string, Float64Array>>(
  columns: Columns,
  takes: (row: number) => boolean,
): Columns {
  return Object.fromEntries(
    Object.entries(columns).map(([name, values]) => [name, values.filter((_, row) => takes(row))]),
  ) as Columns;
}
