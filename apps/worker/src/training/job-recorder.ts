import {
  appendEvent,
  appendEventOnce,
  type GpuReading,
  type JobMetric,
  type JobProgress,
  type NewJobEvent,
  recordCheckpoint,
  recordKnownRate,
  recordMetrics,
  recordProgress,
  recordTrials,
  resumeFromCheckpoint,
  type TrialState,
} from '@graft/service/jobs';
import type { CheckpointKeeper } from './checkpoints/checkpoint-keeper.ts';
import type { SnapshotKeeper } from './checkpoints/snapshot-keeper.ts';
import type { JobLease } from './job-lease.ts';
import {
  checkpointNotStoredMessage,
  evaluationMessage,
  hasStepEvent,
  inputsMessage,
  referenceMessage,
  servedMessage,
  skippedCheckpointMessage,
  startMessage,
  stepMessage,
  trialMessages,
} from './job-messages.ts';
import { evaluationRow, rowsOf, stepRow, trialOf } from './metric-rows.ts';
import type { TrainerRecord, TrainerRecordOf } from './trainer-protocol.ts';

/**
 * Writes a trainer's reports to the job's rows, in order. Metrics and progress are batched and written at most once per
 * `flushMilliseconds`, however fast the steps are.
 */
export class JobRecorder {
  /** Returns the last reading of the job's GPU; null where there is none. */
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
  /** The states of a sweep's trials at the last report. */
  #reportedTrials: readonly TrialState[] | null = null;
  /** Times of the last events about the passes before the first step. */
  #inputsEventAt = Number.NEGATIVE_INFINITY;
  #referenceEventAt = Number.NEGATIVE_INFINITY;
  #lastStep: TrainerRecordOf<'step'> | null = null;
  #lastEvaluation: TrainerRecordOf<'evaluation'> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #written: Promise<void> = Promise.resolve();
  #fault: unknown;
  /** Number of batched and queued metrics, and of queued writes. */
  #unwritten = 0;

  /** `onFault` is called once, when a write fails permanently; `flush` then throws the reason. */
  constructor(lease: JobLease, keeper: CheckpointKeeper, onFault: () => void, flushMilliseconds = 1000) {
    this.#lease = lease;
    this.#keeper = keeper;
    this.#onFault = onFault;
    this.#flushMilliseconds = flushMilliseconds;
  }

  /** Sets the keeper of snapshots that are reported from now on. */
  set snapshots(keeper: SnapshotKeeper) {
    this.#snapshots = keeper;
  }

  /** Handles a record. Resolves once this process has copied the files that the record refers to. */
  async record(record: TrainerRecord): Promise<void> {
    switch (record.type) {
      case 'start':
        this.#start(record);
        break;
      case 'inputs':
        this.#inputs(record);
        break;
      case 'reference':
        this.#reference(record);
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
        this.#event({ level: 'warn', message: checkpointNotStoredMessage(step), data: { step, reason } });
        break;
      }
      case 'stopped':
      case 'done':
        break;
    }
  }

  /** Undefined, or while many writes are queued, a promise that resolves when they are done. The trainer has to wait for it. */
  room(): Promise<void> | undefined {
    if (this.#unwritten <= maxUnwritten) return undefined;
    this.#flushSeries();
    return this.#written;
  }

  /** Resolves once everything recorded so far is in Postgres. Throws the error of a failed write: `Fenced`, or a fault. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushSeries();
    await this.#written;
    if (this.#fault) throw this.#fault;
    await this.#snapshots?.finish();
  }

  /** Drops everything that is not yet written; resolves when the last write is over. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#metrics = [];
    this.#progress = null;
    this.#fault ??= new Error('The recorder is closed.');
    this.#closing.abort(this.#fault);
    await this.#written;
    await this.#snapshots?.close();
  }

  note(message: string): void {
    this.#event({ message });
  }

  /** Adds a warning once per job and `kind`, also across attempts. */
  warn(kind: string, message: string): void {
    this.#eventOnce(kind, { level: 'warn', message });
  }

  /** Adds the event for an adapter that was trained on a quantised base, once per job. */
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
      this.#event({ level: 'warn', message: skippedCheckpointMessage(passed), data: { ...passed } });
    this.#event({ message: startMessage(record), data: startData(record) });
    const { savedFraction, message } = record.sharing;
    this.#eventOnce('shared_beginnings', { message, data: { saved_fraction: savedFraction } });
  }

  #inputs({ done, of, ended }: TrainerRecordOf<'inputs'>): void {
    const now = performance.now();
    if (!ended && now - this.#inputsEventAt < PASS_EVENT_MS) return;
    this.#inputsEventAt = now;
    this.#event({ message: inputsMessage(done, of, ended), data: { examples: of, done } });
  }

  #reference({ type: _, ...record }: TrainerRecordOf<'reference'>): void {
    const { done, of, decided } = record;
    const now = performance.now();
    if (decided?.isKnown) this.#enqueue(() => this.#lease.write(recordKnownRate));
    if (done < of && now - this.#referenceEventAt < PASS_EVENT_MS) return;
    this.#referenceEventAt = now;
    const figures = decided && { preferred: decided.preferred, logp: decided.logp, known: decided.isKnown };
    this.#event({ message: referenceMessage(record), data: { examples: of, done, ...figures } });
  }

  #step(step: TrainerRecordOf<'step'>): void {
    this.#lastStep = step;
    this.#addMetric({ ...stepRow(step), ...trialOf(step.trialRef) });
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
    if (hasStepEvent(step))
      this.#event({ type: 'metrics', message: stepMessage(step), data: stepData(step) });
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flushSeries();
    }, this.#flushMilliseconds);
  }

  #evaluation(evaluation: TrainerRecordOf<'evaluation'>): void {
    this.#lastEvaluation = evaluation;
    const { step, loss, tokenAccuracy, metrics } = evaluation;
    const epoch = this.#lastStep?.step === step ? this.#lastStep.epoch : null;
    // The loss of a diverged model is not a number and is not stored.
    if (Number.isFinite(loss))
      this.#addMetric({ ...evaluationRow(evaluation, epoch), ...trialOf(evaluation.trialRef) });
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
    for (const message of trialMessages(this.#reportedTrials, trials)) this.#event({ message });
    this.#reportedTrials = trials;
  }

  async #checkpoint({ step, seconds }: TrainerRecordOf<'checkpoint'>): Promise<void> {
    const train = this.#lastStep?.step === step ? this.#lastStep : null;
    const validation = this.#lastEvaluation?.step === step ? this.#lastEvaluation : null;
    // Writes are sequential: after this one, all metrics up to this step are stored.
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
      // The last checkpoint is removed with all others at the end of the job.
      if (step !== this.#totalSteps) await this.#prune(step);
    }, series.length);
    await taking.catch((error) => this.#fail(error));
  }

  #addMetric(metric: JobMetric): void {
    this.#metrics.push(metric);
    this.#unwritten += 1;
  }

  /** Records that a checkpoint could not be stored. Another worker would resume from the previous one. */
  async #withoutCheckpoint(step: number, series: readonly JobMetric[]): Promise<void> {
    const message = `The checkpoint at step ${step} could not be stored; the job continues without it.`;
    await this.#lease.write((db, lease) => recordMetrics(db, lease, [...series]));
    await this.#append({ level: 'warn', message, data: { step } });
  }

  async #prune(step: number): Promise<void> {
    for (const { step: at, reason } of await this.#keeper.prune(step)) {
      const message = `The checkpoint at step ${at} is unusable and was removed: ${reason}`;
      await this.#append({ level: 'warn', message, data: { step: at, reason } });
    }
  }

  #event(event: NewJobEvent): void {
    this.#enqueue(() => this.#append(event));
  }

  async #append(event: NewJobEvent): Promise<void> {
    await this.#lease.write((db, lease) => appendEvent(db, lease, event));
  }

  /** Adds an event, unless an earlier attempt did. */
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

  /** Queues a write, and runs none after the first that fails. `metrics`: number of metrics in this write. */
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

  /** Stops all further writes; the first error is kept. */
  #fail(error: unknown): void {
    const isFirst = this.#fault === undefined;
    this.#fault ??= error;
    if (isFirst) this.#onFault();
  }
}

/** Milliseconds between events about a pass before the first step. */
const PASS_EVENT_MS = 60_000;
/** Maximum number of metrics and other writes that wait for Postgres. */
const maxUnwritten = 20_000;

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

// The data of metrics events has OpenAI's names.
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
