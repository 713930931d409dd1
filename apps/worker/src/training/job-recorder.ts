import { readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { TrainRecord } from '@graft/peft-core';
import {
  appendEvent,
  type JobMetric,
  type JobProgress,
  type NewJobEvent,
  recordCheckpoint,
  recordMetrics,
  recordProgress,
  resumeFromStep,
} from '@graft/service';
import type { JobLease } from './job-lease.ts';
import { evaluationMessage, startMessage, stepMessage, tellsOf } from './job-messages.ts';

/**
 * Writes what a trainer reports into the job's rows, in order. Metrics and progress are gathered and written at most
 * once per `flushMilliseconds`, however fast the steps come.
 */
export class JobRecorder {
  #lease: JobLease;
  #dataDir: string;
  #onFault: () => void;
  #flushMilliseconds: number;
  #metrics: JobMetric[] = [];
  #progress: JobProgress | null = null;
  #totalSteps = 0;
  #lastStep: Extract<TrainRecord, { type: 'step' }> | null = null;
  #lastEvaluation: Extract<TrainRecord, { type: 'evaluation' }> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #written: Promise<void> = Promise.resolve();
  #fault: unknown;

  /** `onFault` is called once when a write fails for good; `flush` then throws the reason. */
  constructor(lease: JobLease, dataDir: string, onFault: () => void, flushMilliseconds = 1000) {
    this.#lease = lease;
    this.#dataDir = dataDir;
    this.#onFault = onFault;
    this.#flushMilliseconds = flushMilliseconds;
  }

  record(record: TrainRecord): void {
    switch (record.type) {
      case 'start':
        this.#totalSteps = record.totalSteps;
        this.#enqueue(() =>
          this.#lease.write((db, lease) => resumeFromStep(db, lease, record.resumedFrom ?? 0)),
        );
        this.#event({ message: startMessage(record), data: startData(record) });
        break;
      case 'step':
        this.#step(record);
        break;
      case 'evaluation':
        this.#evaluation(record);
        break;
      case 'checkpoint':
        this.#checkpoint(record.step, record.dir);
        break;
      case 'stopped':
      case 'done':
        break;
    }
  }

  /** Resolves once everything recorded so far is in Postgres. Throws what a write threw: `Fenced`, or a fault. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushSeries();
    await this.#written;
    if (this.#fault) throw this.#fault;
  }

  /** Drops what is not written yet; resolves when the last write is over. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#metrics = [];
    this.#progress = null;
    this.#fault ??= new Error('The recorder is closed.');
    await this.#written;
  }

  /** An event for people. */
  note(message: string): void {
    this.#event({ message });
  }

  #step(step: Extract<TrainRecord, { type: 'step' }>): void {
    this.#lastStep = step;
    this.#metrics.push({
      kind: 'train',
      step: step.step,
      epoch: step.epoch,
      loss: step.loss,
      tokenAccuracy: step.tokenAccuracy,
      learningRate: step.learningRate,
      gradNorm: step.gradNorm,
      tokens: step.tokens,
      tokensPerSecond: step.tokensPerSecond,
    });
    const { totalSteps, epoch, tokens, tokensPerSecond, secondsRemaining, loss } = step;
    this.#progress = { step: step.step, totalSteps, epoch, tokens, tokensPerSecond, secondsRemaining, loss };
    if (tellsOf(step)) this.#event({ type: 'metrics', message: stepMessage(step), data: stepData(step) });
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flushSeries();
    }, this.#flushMilliseconds);
  }

  #evaluation(evaluation: Extract<TrainRecord, { type: 'evaluation' }>): void {
    this.#lastEvaluation = evaluation;
    const { step, loss, tokenAccuracy, metrics } = evaluation;
    this.#metrics.push({
      kind: 'evaluation',
      step,
      epoch: this.#lastStep?.step === step ? this.#lastStep.epoch : null,
      loss,
      tokenAccuracy,
      learningRate: null,
      gradNorm: null,
      tokens: null,
      tokensPerSecond: null,
    });
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

  #checkpoint(step: number, dir: string): void {
    const train = this.#lastStep?.step === step ? this.#lastStep : null;
    const validation = this.#lastEvaluation?.step === step ? this.#lastEvaluation : null;
    // The metrics up to a checkpoint's step are written before its row.
    this.#flushSeries();
    this.#enqueue(async () => {
      const bytes = await folderBytes(dir);
      await this.#lease.write((db, lease) =>
        recordCheckpoint(db, lease, {
          step,
          path: relative(this.#dataDir, dir),
          bytes,
          metrics: {
            trainLoss: train?.loss ?? null,
            trainTokenAccuracy: train?.tokenAccuracy ?? null,
            validationLoss: validation?.loss ?? null,
            validationTokenAccuracy: validation?.tokenAccuracy ?? null,
          },
        }),
      );
    });
  }

  #event(event: NewJobEvent): void {
    this.#enqueue(() => this.#lease.write((db, lease) => appendEvent(db, lease, event)));
  }

  #flushSeries(): void {
    const metrics = this.#metrics;
    const progress = this.#progress;
    this.#metrics = [];
    this.#progress = null;
    if (metrics.length)
      this.#enqueue(() => this.#lease.write((db, lease) => recordMetrics(db, lease, metrics)));
    if (progress) this.#enqueue(() => this.#lease.write((db, lease) => recordProgress(db, lease, progress)));
  }

  /** Writes one after another, and none after the first that fails. */
  #enqueue(write: () => Promise<unknown>): void {
    this.#written = this.#written.then(async () => {
      if (this.#fault) return;
      try {
        await write();
      } catch (error) {
        this.#fault ??= error;
        this.#onFault();
      }
    });
  }
}

function startData(start: Extract<TrainRecord, { type: 'start' }>): Record<string, unknown> {
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
function stepData(step: Extract<TrainRecord, { type: 'step' }>): Record<string, unknown> {
  return {
    step: step.step,
    total_steps: step.totalSteps,
    train_loss: step.loss,
    train_mean_token_accuracy: step.tokenAccuracy,
    learning_rate: step.learningRate,
    tokens_per_second: step.tokensPerSecond,
  };
}

/** 0 when newer checkpoints have replaced the folder already. */
async function folderBytes(dir: string): Promise<number> {
  try {
    const sizes = (await readdir(dir)).map(async (name) => (await stat(join(dir, name))).size);
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  } catch {
    return 0;
  }
}
