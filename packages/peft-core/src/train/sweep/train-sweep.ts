import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../../errors.ts';
import { train } from '../loop.ts';
import { peakMemory } from '../machine/peak-memory.ts';
import type { RecordOf, TrainRecord } from '../records.ts';
import { WarmModel } from '../warm-model.ts';
import { openSweep, type Sweep, type SweepOptions, tokensOf } from './open-sweep.ts';
import { writeSweepCheckpoint } from './sweep-checkpoint.ts';
import type { SweepSegment } from './sweep-progress.ts';

/**
 * Trains the trials of a sweep, from rung to rung, and writes the adapter of the best: bit for bit that of a separate `train` on the
 * same data. Resumed from a checkpoint, it continues like an uninterrupted sweep. A trial whose loss is not a number is out.
 *
 * Throws as `train` does; `training_diverged` if all trials diverged.
 */
export async function* trainSweep(options: SweepOptions): AsyncGenerator<TrainRecord> {
  const warm = options.warm ?? new WarmModel();
  const run = new SweepRun(options, warm);
  try {
    yield* run.records();
  } finally {
    if (!options.warm) warm.close();
  }
}

class SweepRun {
  readonly #options: SweepOptions;
  readonly #warm: WarmModel;
  #isToldOf = false;
  #peakMemoryBytes = 0;
  #secondsPerStep = 0;
  /** Step and `performance.now()` of the sweep's last checkpoint, or of its start. */
  #recorded = { step: 0, at: 0 };
  #diverged: unknown;

  constructor(options: SweepOptions, warm: WarmModel) {
    this.#options = options;
    this.#warm = warm;
  }

  async *records(): AsyncGenerator<TrainRecord> {
    const sweep = await openSweep(this.#options);
    this.#recorded = { step: sweep.step, at: performance.now() };
    for (;;) {
      const { next, winner } = sweep.progress;
      const isStopping = this.#options.signal?.aborted ?? false;
      if ((isStopping || !next) && sweep.step > this.#recorded.step) yield* this.#checkpoint(sweep);
      if (isStopping) return yield { type: 'stopped', step: sweep.step };
      if (!next) return yield* this.#publish(sweep, winner);
      yield* this.#train(sweep, next);
      if (!this.#isStopped(sweep, next)) yield { type: 'trials', trials: sweep.rows };
    }
  }

  /** Trains one trial to its next rung, or until it is stopped. */
  async *#train(sweep: Sweep, segment: SweepSegment): AsyncGenerator<TrainRecord> {
    const { trial: number, until, before, from } = segment;
    const trial = sweep.trials[number]!;
    const beside = sweep.tokensBeside(number);
    const at = (step: number) => before + step - from;
    const options = await sweep.optionsOf(number);
    try {
      for await (const record of train({ ...options, until, warm: this.#warm, sharesBase: true })) {
        if (record.type === 'step' || record.type === 'evaluation') sweep.step = at(record.step);
        const position = {
          step: sweep.step,
          trialRef: { trial: number + 1, step: 'step' in record ? record.step : 0 },
        };
        switch (record.type) {
          case 'start':
            this.#checkResumed(record, trial.checkpoint?.step ?? null);
            yield* this.#start(sweep, record);
            break;
          case 'step': {
            trial.log.addStep(record);
            const left = record.totalSteps - record.step;
            if (left > 0) this.#secondsPerStep = record.secondsRemaining / left;
            const { totalSteps } = sweep;
            const secondsRemaining = this.#secondsPerStep * (totalSteps - sweep.step);
            yield { ...record, ...position, totalSteps, secondsRemaining, tokens: beside + record.tokens };
            break;
          }
          case 'evaluation':
            trial.log.addEvaluation(record);
            yield { ...record, ...position };
            break;
          case 'checkpoint': {
            const { dir, step, digest } = record;
            trial.checkpoint = { dir, step, digest };
            if (this.#isCheckpointDue(sweep)) yield* this.#checkpoint(sweep);
            await removeOthers(trial.folder, dir);
            break;
          }
          default:
            // Stopped, at its rung or before: the preceding checkpoint contains the state.
            break;
        }
      }
    } catch (error) {
      if (!(error instanceof GraftError) || error.code !== 'training_diverged') throw error;
      this.#diverged = error;
      trial.diverged = true;
    }
    this.#peakMemoryBytes = Math.max(this.#peakMemoryBytes, peakMemory());
  }

  #isStopped(sweep: Sweep, { trial, until }: SweepSegment): boolean {
    const { log, diverged } = sweep.trials[trial]!;
    return !diverged && log.series.train.loss.length < until;
  }

  /** A missing checkpoint of this process's own means that its disk lost data. */
  #checkResumed({ resumedFrom }: RecordOf<'start'>, step: number | null): void {
    if (resumedFrom === step) return;
    throw new GraftError('checkpoint_unreadable', `a trial’s checkpoint of step ${step} is lost`, {
      fault: 'environment',
    });
  }

  *#start(sweep: Sweep, record: RecordOf<'start'>): Generator<TrainRecord> {
    if (this.#isToldOf) return;
    this.#isToldOf = true;
    const { resumedFrom, passedOver, totalSteps } = sweep;
    const sweepState = { trials: sweep.rows, stretches: resumedFrom === null ? [] : sweep.stretches };
    yield { ...record, totalSteps, resumedFrom, passedOver, series: null, sweep: sweepState };
  }

  /** A trial writes its own checkpoint whenever it waits; the sweep writes one only as often as a job does. */
  #isCheckpointDue({ step, trials: [first] }: Sweep): boolean {
    const { checkpoint_steps: steps, checkpoint_seconds: seconds } = first!.options.training;
    const { step: last, at } = this.#recorded;
    return step - last >= steps || performance.now() - at >= seconds * 1000;
  }

  async *#checkpoint(sweep: Sweep): AsyncGenerator<TrainRecord> {
    const { identity, step, kept, options, comparison } = sweep;
    const trainedTokens = sweep.trials.reduce((sum, each) => sum + tokensOf(each), 0);
    const of = { identity, step, trainedTokens };
    const written = await writeSweepCheckpoint(options.checkpoints.dir, of, kept, comparison);
    yield { type: 'checkpoint', step, ...written };
    this.#recorded = { step, at: performance.now() };
    for (const [i, { folder }] of sweep.trials.entries())
      if (!kept[i]!.checkpoint) await rm(folder, { recursive: true, force: true });
  }

  async *#publish(sweep: Sweep, winner: number | null): AsyncGenerator<TrainRecord> {
    if (winner === null) {
      const message = 'the loss of every trial was not a number; try smaller learning rates';
      throw new GraftError('training_diverged', message, { param: 'sweep', cause: this.#diverged });
    }
    yield { type: 'trials', trials: sweep.rows };
    const names = sweep.rows.map((row, i) => ({ ...row, ...sweep.options.trials[i]! }));
    const options = { ...(await sweep.optionsOf(winner)), trials: names, warm: this.#warm, sharesBase: true };
    let parameters = { trainableParameters: 0, totalParameters: 0 };
    for await (const record of train(options)) {
      if (record.type === 'start') {
        this.#checkResumed(record, sweep.trials[winner]!.checkpoint?.step ?? null);
        parameters = {
          trainableParameters: record.trainableParameters,
          totalParameters: record.totalParameters,
        };
        yield* this.#start(sweep, record);
      } else if (record.type === 'done') {
        const peakMemoryBytes = Math.max(this.#peakMemoryBytes, record.peakMemoryBytes);
        const trainedTokens = record.trainedTokens + sweep.tokensBeside(winner);
        yield { ...record, trainedTokens, peakMemoryBytes, winner: { trial: winner + 1, ...parameters } };
      } else throw new Error(`a finished trial has nothing left to do, and a record ${record.type} came`);
    }
  }
}

/** Removes all but the last of a trial's own checkpoints. */
async function removeOthers(folder: string, kept: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const entry = path.join(folder, name);
    if (entry !== kept) await rm(entry, { recursive: true, force: true });
  }
}
