import type { TrainRecord } from '@graft/peft-core';

type Start = Extract<TrainRecord, { type: 'start' }>;
type Step = Extract<TrainRecord, { type: 'step' }>;
type Evaluation = Extract<TrainRecord, { type: 'evaluation' }>;

// People read a job's events: about this many of them are of steps, however long the job is.
const stepEvents = 50;

/** Whether this step gets an event: evenly spaced ones, the first and the last. */
export function tellsOf({ step, totalSteps }: Step): boolean {
  return step === 1 || step === totalSteps || step % Math.ceil(totalSteps / stepEvents) === 0;
}

export function startMessage(start: Start): string {
  const share = (100 * start.trainableParameters) / start.totalParameters;
  const training = `Training ${count(start.trainableParameters)} of ${count(start.totalParameters)} parameters (${share.toPrecision(2)} %)`;
  const from = start.resumedFrom === null ? '' : `, resumed from the checkpoint at step ${start.resumedFrom}`;
  return `${training} for ${count(start.totalSteps)} steps${from}`;
}

/** Of a checkpoint that a job does not go on from, though it is newer than the one that it does. */
export function passedOverMessage({ step, reason }: Start['passedOver'][number]): string {
  return `The checkpoint at step ${step} is not continued: ${reason}`;
}

export function stepMessage({ step, totalSteps, loss }: Step): string {
  return `Step ${step}/${totalSteps}: training loss ${loss.toFixed(2)}`;
}

export function evaluationMessage({ step, loss, metrics }: Evaluation, totalSteps: number): string {
  const measures = Object.entries(metrics).map(
    ([name, value]) => `, ${name.replaceAll('_', ' ')} ${value.toFixed(2)}`,
  );
  return `Step ${step}/${totalSteps}: validation loss ${loss.toFixed(2)}${measures.join('')}`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

export function notKeptMessage(step: number): string {
  return `The adapter of step ${step} could not be stored: this checkpoint cannot be called.`;
}
