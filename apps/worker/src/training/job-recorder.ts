import {
  appendEvent,
  appendEventOnce,
  type GpuReading,
  type JobMetric,
  type JobProgress,
  type NewJobEvent,
  recordCheckpoint,
  recordMetrics,
  recordProgress,
  recordTrials,
  resumeFromCheckpoint,
  type TrialState,
} from '@graft/service';
import type { CheckpointKeeper } from './checkpoints/checkpoint-keeper.ts';
import type { SnapshotKeeper } from './checkpoints/snapshot-keeper.ts';
import type { JobLease } from './job-lease.ts';
import {
  evaluationMessage,
  notKeptMessage,
  passedOverMessage,
  servedMessage,
  startMessage,
  stepMessage,
  tellsOf,
  trialMessages,
} from './job-messages.ts';
import { evaluationRow, rowsOf, stepRow, trialOf } from './metric-rows.ts';
import type { TrainerRecord, TrainerRecordOf } from './trainer-protocol.ts';

/**
 * Writes what a trainer reports into the job's rows, in order. Metrics and progress are gathered and written at most
 * once per `flushMilliseconds`, however fast the steps come.
 */
export class JobRecorder {
  /** What is known of the card that the job is computed on; null: nothing, or there is none. */
  readGpu: () => GpuReading | null = () => null;
  #lease: JobLease;
  #keeper: CheckpointKeeper;
  #snapshots: SnapshotKeeper | null = null;
  /** Aborted when nothing more is to be written. */
  readonly #closing = new AbortController();
  #onFault: () => void;
  #flushMilliseconds: number;
  #metrics: JobMetric[] = [];
  #progress: JobProgress | null = null;
  #totalSteps = 0;
  /** What was last told of a sweep's trials. */
  #told: readonly TrialState[] | null = null;
  #lastStep: TrainerRecordOf<'step'> | null = null;
  #lastEvaluation: TrainerRecordOf<'evaluation'> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #written: Promise<void> = Promise.resolve();
  #fault: unknown;
  /** Metrics that are gathered or wait, and writes that wait. */
  #unwritten = 0;

  /** `onFault` is called once when a write fails for good; `flush` then throws the reason. */
  constructor(lease: JobLease, keeper: CheckpointKeeper, onFault: () => void, flushMilliseconds = 1000) {
    this.#lease = lease;
    this.#keeper = keeper;
    this.#onFault = onFault;
    this.#flushMilliseconds = flushMilliseconds;
  }

  /** Who keeps the adapters that come from now on. */
  set snapshots(keeper: SnapshotKeeper) {
    this.#snapshots = keeper;
  }

  /** Takes a record. Resolves once this process has a copy of the files that it is of. */
  async record(record: TrainerRecord): Promise<void> {
    switch (record.type) {
      case 'start':
        this.#start(record);
        break;
      case 'step':
        this.#step(record);
        break;
      case 'evaluation':
        this.#evaluation(record);
        break;
      case 'advice': {
        const { kind, message, step } = record;
        this.#eventOnce(kind, { level: 'warn', message, data: { step, try: record.try } });
        break;
      }
      case 'trials':
        this.#trials(record.trials);
        break;
      case 'checkpoint':
        await this.#checkpoint(record);
        break;
      case 'snapshot':
        await this.#snapshots?.keep(record).catch((error) => this.#fail(error));
        break;
      case 'snapshot_lost': {
        const { step, reason } = record;
        this.#event({ level: 'warn', message: notKeptMessage(step), data: { step, reason } });
        break;
      }
      case 'stopped':
      case 'done':
        break;
    }
  }

  /** Undefined, or while much waits for Postgres a promise that resolves when less does: a trainer that says more has to wait. */
  room(): Promise<void> | undefined {
    if (this.#unwritten <= mostUnwritten) return undefined;
    this.#flushSeries();
    return this.#written;
  }

  /** Resolves once everything recorded so far is in Postgres. Throws what a write threw: `Fenced`, or a fault. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushSeries();
    await this.#written;
    if (this.#fault) throw this.#fault;
    await this.#snapshots?.finish();
  }

  /** Drops what is not written yet; resolves when the last write is over. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#metrics = [];
    this.#progress = null;
    this.#fault ??= new Error('The recorder is closed.');
    this.#closing.abort(this.#fault);
    await this.#written;
    await this.#snapshots?.close();
  }

  /** An event for people. */
  note(message: string): void {
    this.#event({ message });
  }

  /** A warning of which a job has one of a kind, however often it is resumed. */
  warn(kind: string, message: string): void {
    this.#eventOnce(kind, { level: 'warn', message });
  }

  /** Of an adapter that was trained on a quantised base: an event, which a job has once. */
  measured(
    baseDtype: string,
    quantised: number,
    figures: { served: number | null; of: 'validation' | 'training' },
  ): void {
    const message = servedMessage(baseDtype, quantised, figures);
    const data = { base_dtype: baseDtype, quantised_loss: quantised, served_loss: figures.served };
    this.#eventOnce(figures.served === null ? 'quantised_figures' : 'served_figures', { message, data });
  }

  #start(record: TrainerRecordOf<'start'>): void {
    const { resumedFrom, series, totalSteps, trials } = record;
    this.#totalSteps = totalSteps;
    const rows = () => rowsOf(series);
    this.#enqueue(() =>
      this.#lease.write((db, lease) => resumeFromCheckpoint(db, lease, resumedFrom ?? 0, rows)),
    );
    if (trials) this.#trials(trials);
    for (const passed of record.passedOver)
      this.#event({ level: 'warn', message: passedOverMessage(passed), data: { ...passed } });
    this.#event({ message: startMessage(record), data: startData(record) });
    const { savedFraction, message } = record.sharing;
    this.#eventOnce('shared_beginnings', { message, data: { saved_fraction: savedFraction } });
  }

  #step(step: TrainerRecordOf<'step'>): void {
    this.#lastStep = step;
    this.#addMetric({ ...stepRow(step), ...trialOf(step.ofTrial) });
    const { totalSteps, epoch, tokens, tokensPerSecond, secondsRemaining, loss } = step;
    const gpu = this.readGpu();
    this.#progress = {
      step: step.step,
      totalSteps,
      epoch,
      tokens,
      tokensPerSecond,
      secondsRemaining,
      loss,
      ...(gpu && { gpu }),
    };
    if (tellsOf(step)) this.#event({ type: 'metrics', message: stepMessage(step), data: stepData(step) });
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flushSeries();
    }, this.#flushMilliseconds);
  }

  #evaluation(evaluation: TrainerRecordOf<'evaluation'>): void {
    this.#lastEvaluation = evaluation;
    const { step, loss, tokenAccuracy, metrics } = evaluation;
    const epoch = this.#lastStep?.step === step ? this.#lastStep.epoch : null;
    // Of a model that has become useless there is no number to keep.
    if (Number.isFinite(loss))
      this.#addMetric({ ...evaluationRow(evaluation, epoch), ...trialOf(evaluation.ofTrial) });
    this.#event({
      type: 'metrics',
      message: evaluationMessage(evaluation, this.#totalSteps),
      data: {
        step,
        total_steps: this.#totalSteps,
        valid_loss: loss,
        valid_mean_token_accuracy: tokenAccuracy,
        valid_metrics: metrics,
      },
    });
  }

  #trials(trials: readonly TrialState[]): void {
    this.#enqueue(() => this.#lease.write((db, lease) => recordTrials(db, lease, trials)));
    for (const message of trialMessages(this.#told, trials)) this.#event({ message });
    this.#told = trials;
  }

  async #checkpoint({ step, seconds }: TrainerRecordOf<'checkpoint'>): Promise<void> {
    const train = this.#lastStep?.step === step ? this.#lastStep : null;
    const validation = this.#lastEvaluation?.step === step ? this.#lastEvaluation : null;
    // Writes come one after the other: with these, all up to this step are there.
    const series = this.#metrics;
    this.#metrics = [];
    const taking = this.#keeper.take(step);
    this.#enqueue(async () => {
      const taken = await taking;
      if (!taken || !(await this.#keeper.store(taken.dir, this.#closing.signal)))
        return await this.#withoutCheckpoint(step, series);
      const { dir, digest, bytes } = taken;
      await this.#lease.write((db, lease) =>
        recordCheckpoint(db, lease, {
          step,
          digest,
          bytes,
          seconds,
          series,
          path: this.#keeper.keyOf(dir),
          metrics: {
            trainLoss: train?.loss ?? null,
            trainTokenAccuracy: train?.tokenAccuracy ?? null,
            validationLoss: validation?.loss ?? null,
            validationTokenAccuracy: validation?.tokenAccuracy ?? null,
          },
        }),
      );
      // The last one goes with all others once the job is over.
      if (step !== this.#totalSteps) await this.#prune(step);
    }, series.length);
    await taking.catch((error) => this.#fail(error));
  }

  #addMetric(metric: JobMetric): void {
    this.#metrics.push(metric);
    this.#unwritten += 1;
  }

  /** Another worker would go on from the checkpoint before. */
  async #withoutCheckpoint(step: number, series: readonly JobMetric[]): Promise<void> {
    const message = `The checkpoint at step ${step} could not be stored; the job goes on without it.`;
    await this.#lease.write((db, lease) => recordMetrics(db, lease, [...series]));
    await this.#lease.write((db, lease) =>
      appendEvent(db, lease, { level: 'warn', message, data: { step } }),
    );
  }

  async #prune(step: number): Promise<void> {
    for (const damaged of await this.#keeper.prune(step)) {
      const message = `The checkpoint at step ${damaged.step} cannot be gone on from and was removed: ${damaged.reason}`;
      await this.#lease.write((db, lease) =>
        appendEvent(db, lease, {
          level: 'warn',
          message,
          data: { step: damaged.step, reason: damaged.reason },
        }),
      );
    }
  }

  #event(event: NewJobEvent): void {
    this.#enqueue(() => this.#lease.write((db, lease) => appendEvent(db, lease, event)));
  }

  /** Not again of a later attempt. */
  #eventOnce(about: string, event: NewJobEvent): void {
    this.#enqueue(() => this.#lease.write((db, lease) => appendEventOnce(db, lease, about, event)));
  }

  #flushSeries(): void {
    const metrics = this.#metrics;
    const progress = this.#progress;
    this.#metrics = [];
    this.#progress = null;
    if (metrics.length)
      this.#enqueue(
        () => this.#lease.write((db, lease) => recordMetrics(db, lease, metrics)),
        metrics.length,
      );
    if (progress) this.#enqueue(() => this.#lease.write((db, lease) => recordProgress(db, lease, progress)));
  }

  /** Writes one after another, and none after the first that fails. `metrics`: how many of them this write has. */
  #enqueue(write: () => Promise<unknown>, metrics = 0): void {
    this.#unwritten += 1;
    this.#written = this.#written.then(async () => {
      try {
        if (!this.#fault) await write();
      } catch (error) {
        this.#fail(error);
      }
      this.#unwritten -= metrics + 1;
    });
  }

  /** Nothing more is written, for the first reason. */
  #fail(error: unknown): void {
    const isFirst = this.#fault === undefined;
    this.#fault ??= error;
    if (isFirst) this.#onFault();
  }
}

/** Metrics and other writes that may wait for Postgres. */
const mostUnwritten = 20_000;

function startData(start: TrainerRecordOf<'start'>): Record<string, unknown> {
  return {
    trainable_parameters: start.trainableParameters,
    total_parameters: start.totalParameters,
    total_steps: start.totalSteps,
    tokens_per_epoch: start.tokensPerEpoch,
    resumed_from: start.resumedFrom,
    precision: start.precision,
  };
}

// OpenAI's names for the data of metrics events.
function stepData(step: TrainerRecordOf<'step'>): Record<string, unknown> {
  return {
    step: step.step,
    total_steps: step.totalSteps,
    train_loss: step.loss,
    train_mean_token_accuracy: step.tokenAccuracy,
    learning_rate: step.learningRate,
    tokens_per_second: step.tokensPerSecond,
  };
}
