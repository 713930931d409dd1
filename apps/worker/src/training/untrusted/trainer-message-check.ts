import type { Report, ReportOf } from '@graft/peft-core/reports';
import type { FromChild } from '../../processes/forked-process.ts';
import type { SeriesPart, TrainerMessages, TrainingRequest } from '../trainer-protocol.ts';

type Message = FromChild<TrainerMessages>;

/** Minimum of the bound of optimizer steps that a trainer may report. */
export const fewestSteps = 10_000;

/** The facts about a job that are known before it is trained. */
type TrainedJob = Pick<TrainingRequest, 'trials' | 'snapshotDir' | 'checkpoints' | 'training'> & {
  /** Upper bound of the optimizer steps, for all trials, which limits what a trainer can report. */
  maxSteps: number;
  /** Aborted: the trainer was asked to stop. */
  stop: AbortSignal;
};

/**
 * Checks the order of a trainer's messages about one job. Each message already fits its schema; this class knows the earlier ones. So a
 * trainer that forges messages can only report values that it could report anyway about its own job, and only a limited number.
 */
export class TrainerMessageCheck {
  readonly #job: TrainedJob;
  /** The last reports of the passes before the first step. */
  #inputs = { done: 0, of: 0, ended: false };
  #reference = { done: 0, of: 0 };
  readonly #advice = new Set<string>();
  readonly #ended = new Set<number>();
  #started: ReportOf<'start'> | null = null;
  /** Step of the last report of each kind. */
  #step = 0;
  #evaluation = 0;
  #checkpoint = 0;
  #snapshot = 0;
  #tokens = 0;
  #trialReports = 0;
  #seriesStep = 0;
  #end: 'done' | 'stopped' | null = null;

  constructor(job: TrainedJob) {
    this.#job = job;
  }

  /** Why the message is invalid; null where it is valid. */
  refuse(message: Message): string | null {
    switch (message.type) {
      case 'ready':
      case 'failed':
        return null;
      case 'stopped':
        return this.#job.stop.aborted ? null : 'stopped, which was not requested';
      case 'finished':
        return this.#end === 'done' ? null : 'finished without a result';
      case 'series':
        return this.#started || this.#end ? 'a series after the start' : this.#series(message);
      case 'record':
        if (this.#end) return `a record ${message.record.type} after the end`;
        return this.#isRefused(message.record)
          ? `a record ${message.record.type} that cannot come here`
          : null;
      default:
        return `${message.type} of a job that is trained`;
    }
  }

  #series({ trial, offset, firstStep, train, evaluation, sets = {} }: SeriesPart): string | null {
    const { trials, maxSteps } = this.#job;
    const rows = train.loss.length;
    const from = offset + firstStep;
    const fits =
      rows > 0 &&
      firstStep > 0 &&
      from > this.#seriesStep &&
      from + rows - 1 <= maxSteps &&
      (trials ? trial !== null && trial >= 1 && trial <= trials.length : trial === null && offset === 0) &&
      Object.values(train).every(({ length }) => length === rows) &&
      [...Object.values(evaluation), ...Object.values(sets)].every(
        ({ length }) => length === evaluation.step.length,
      ) &&
      evaluation.step.every(
        (step, i) => step >= firstStep && step < firstStep + rows && step > (evaluation.step[i - 1] ?? 0),
      );
    this.#seriesStep = from + rows - 1;
    return fits ? null : 'a series that does not fit';
  }

  #isRefused(record: Report): boolean {
    if (record.type === 'stopped') {
      this.#end = 'stopped';
      return !this.#job.stop.aborted || (this.#started !== null && record.step !== this.#step);
    }
    if (record.type === 'trials') return this.#refusesTrials(record.trials);
    if (record.type === 'start') return this.#refusesStart(record);
    if (!this.#started) return true;
    switch (record.type) {
      case 'inputs': {
        const { done, of, ended } = record;
        const before = this.#inputs;
        // A resumed job has its start values, and a sweep does not report them.
        const isFirst = before.of === 0 && this.#job.trials === null;
        const fits =
          this.#step === 0 &&
          this.#reference.of === 0 &&
          !before.ended &&
          (isFirst || of === before.of) &&
          done > before.done &&
          done <= of;
        this.#inputs = { done, of, ended };
        return !fits;
      }
      case 'reference': {
        const { done, of, decided } = record;
        const before = this.#reference;
        // A resumed job reads the reference from its checkpoint, and a sweep does not report it.
        const isFirst = before.of === 0 && this.#job.trials === null;
        const isDecidable = done === of && this.#job.training.learning_rate_if_known !== undefined;
        const fits =
          this.#step === 0 &&
          (isFirst || of === before.of) &&
          done > before.done &&
          done <= of &&
          (!decided || isDecidable);
        this.#reference = { done, of };
        return !fits;
      }
      case 'step': {
        const { step, totalSteps, tokens, trialRef } = record;
        // A sweep skips the steps of a trial that was stopped.
        const follows = this.#job.trials ? step > this.#step : step === this.#step + 1;
        const fits =
          follows &&
          step <= totalSteps &&
          this.#isTotal(totalSteps) &&
          tokens >= this.#tokens &&
          this.#isCurrentTrial(trialRef);
        this.#step = step;
        this.#tokens = tokens;
        return !fits;
      }
      case 'evaluation': {
        const fits =
          record.step === this.#step &&
          record.step > this.#evaluation &&
          this.#isCurrentTrial(record.trialRef);
        this.#evaluation = record.step;
        return !fits;
      }
      case 'advice': {
        const isKnown = this.#advice.has(record.kind);
        this.#advice.add(record.kind);
        return isKnown || record.step > this.#step;
      }
      case 'checkpoint': {
        const fits = record.step === this.#step && record.step > this.#checkpoint;
        this.#checkpoint = record.step;
        return !fits;
      }
      case 'snapshot':
      case 'snapshot_lost': {
        const fits =
          this.#job.snapshotDir !== undefined &&
          this.#job.trials === null &&
          record.step === this.#step &&
          record.step > this.#snapshot;
        this.#snapshot = record.step;
        return !fits || (record.type === 'snapshot' && (record.best?.step ?? 0) > record.step);
      }
      case 'done': {
        this.#end = 'done';
        const { steps, publishedStep, totalSteps, winner } = record;
        const { trials } = this.#job;
        const isWhole = trials
          ? winner !== undefined && winner.trial >= 1 && winner.trial <= trials.length
          : winner === undefined && steps === this.#step;
        return !isWhole || publishedStep > steps || steps > totalSteps || totalSteps > this.#job.maxSteps;
      }
    }
  }

  #refusesStart(start: ReportOf<'start'>): boolean {
    const { trials, checkpoints, maxSteps } = this.#job;
    const { resumedFrom, totalSteps, passedOver } = start;
    const steps = checkpoints.candidates.map(({ step }) => step);
    const fits =
      !this.#started &&
      totalSteps <= maxSteps &&
      this.#seriesStep <= (resumedFrom ?? 0) &&
      (resumedFrom === null || (steps.includes(resumedFrom) && resumedFrom <= totalSteps)) &&
      passedOver.length <= steps.length &&
      passedOver.every(({ step }) => steps.includes(step)) &&
      (start.trials === null) === (trials === null) &&
      (start.trials === null || !this.#refusesTrials(start.trials));
    this.#started = start;
    this.#step = this.#evaluation = this.#checkpoint = this.#snapshot = resumedFrom ?? 0;
    return !fits;
  }

  /** A trial that was stopped or has won keeps that state. The number of reports is limited. */
  #refusesTrials(trials: ReportOf<'trials'>['trials']): boolean {
    const known = this.#job.trials;
    this.#trialReports += 1;
    if (!known || trials.length !== known.length) return true;
    if (this.#trialReports > this.#step + 4 * known.length + 4) return true;
    return trials.some(({ trial, status, rungs, step }, i) => {
      const isOut = status === 'stopped' || status === 'diverged' || status === 'won';
      const wasOut = this.#ended.has(trial);
      if (isOut) this.#ended.add(trial);
      return (
        trial !== i + 1 ||
        (wasOut && !isOut) ||
        step > this.#job.maxSteps ||
        rungs.some((rung, at) => rung.step > this.#job.maxSteps || rung.step <= (rungs[at - 1]?.step ?? 0))
      );
    });
  }

  /** Tied trials of a sweep all continue, so the total number of steps can grow. */
  #isTotal(steps: number): boolean {
    const { trials, maxSteps } = this.#job;
    const total = this.#started!.totalSteps;
    return trials ? steps >= total && steps <= maxSteps : steps === total;
  }

  #isCurrentTrial(of: ReportOf<'step'>['trialRef']): boolean {
    const { trials } = this.#job;
    if (!trials) return of === undefined;
    return of !== undefined && of.trial >= 1 && of.trial <= trials.length;
  }
}
