import { isSetMetric } from '@graft/peft-core/config';
import type { TrialState } from '@graft/service/jobs';
import type { TrainerRecordOf } from './trainer-protocol.ts';

type Start = Omit<TrainerRecordOf<'start'>, 'series'>;
type Step = TrainerRecordOf<'step'>;
type Evaluation = TrainerRecordOf<'evaluation'>;

// Users read a job's events, so steps get about this many, however long the job is.
const stepEvents = 50;

/** Checks whether this step gets an event: evenly spaced ones, the first and the last. */
export function hasStepEvent({ step, totalSteps }: Step): boolean {
  return step === 1 || step === totalSteps || step % Math.ceil(totalSteps / stepEvents) === 0;
}

export function startMessage(start: Start): string {
  if (start.trials) return sweepMessage(start, start.trials.length);
  const share = (100 * start.trainableParameters) / start.totalParameters;
  const training = `Training ${count(start.trainableParameters)} of ${count(start.totalParameters)} parameters (${share.toPrecision(2)} %)`;
  const from = start.resumedFrom === null ? '' : `, resumed from the checkpoint at step ${start.resumedFrom}`;
  return `${training} for ${count(start.totalSteps)} steps${from}`;
}

/** Progress of the pass that computes start values from the inputs of layers, in examples. */
export function inputsMessage(done: number, of: number, ended: boolean): string {
  return ended
    ? `Start values computed from the inputs of layers over ${count(done)} of ${count(of)} examples`
    : `Computing start values: inputs of layers over ${count(done)} of ${count(of)} examples`;
}

/** Progress of the pass that preference training begins with, in examples. */
export function referenceMessage({ done, of, decided }: Omit<TrainerRecordOf<'reference'>, 'type'>): string {
  if (done < of)
    return `Computing log-probabilities under the reference model: ${count(done)} of ${count(of)} examples`;
  const computed = `Log-probabilities of ${count(of)} examples computed under the reference model`;
  if (!decided) return computed;
  const { preferred, logp, isKnown } = decided;
  const figures = `it prefers the chosen answer in ${Math.round(100 * preferred)} % of them, with a mean probability of ${Math.exp(logp).toPrecision(2)} per token`;
  const rate = isKnown ? 'learning_rate_if_known, since it gives these answers already' : 'learning_rate';
  return `${computed}: ${figures}, so training uses ${rate}`;
}

function sweepMessage({ totalSteps, resumedFrom }: Start, trials: number): string {
  const from = resumedFrom === null ? '' : `, resumed from the checkpoint at step ${resumedFrom}`;
  return `Trying ${trials} configurations in ${count(totalSteps)} steps${from}`;
}

/** Messages for the changes since `before`. Null: the first report, in which a resumed sweep repeats earlier changes. */
export function trialMessages(before: readonly TrialState[] | null, trials: readonly TrialState[]): string[] {
  if (!before) return [];
  return trials.flatMap(({ trial, status, rungs }, i) => {
    if (status === before[i]!.status) return [];
    const loss = rungs.at(-1)?.loss?.toFixed(4);
    const measured = loss === undefined ? '' : `, validation loss ${loss} at its step ${rungs.at(-1)!.step}`;
    if (status === 'won') return [`Trial ${trial} is the best${measured}`];
    if (status === 'stopped') return [`Trial ${trial} stopped: others are better${measured}`];
    return status === 'diverged' ? [`Trial ${trial} stopped: its loss is not a number`] : [];
  });
}

/** Message for a checkpoint that was skipped although it is newer than the one that the job resumes from. */
export function skippedCheckpointMessage({ step, reason }: Start['passedOver'][number]): string {
  return `The checkpoint at step ${step} is not continued: ${reason}`;
}

const trialText = ({ trialRef }: Pick<Step, 'trialRef'>): string =>
  trialRef ? ` (trial ${trialRef.trial}, its step ${trialRef.step})` : '';

export function stepMessage({ step, totalSteps, loss, ...more }: Step): string {
  return `Step ${step}/${totalSteps}${trialText(more)}: training loss ${loss.toFixed(2)}`;
}

export function evaluationMessage({ step, loss, metrics, ...more }: Evaluation, totalSteps: number): string {
  // Sixteen validation files may have a hundred metrics; the series has all.
  const listed = Object.entries(metrics).filter(([name]) => !isSetMetric(name) || name.endsWith('_loss'));
  const measures = listed.map(([name, value]) => `, ${name.replaceAll('_', ' ')} ${value.toFixed(2)}`);
  return `Step ${step}/${totalSteps}${trialText(more)}: validation loss ${loss.toFixed(2)}${measures.join('')}`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

export function checkpointNotStoredMessage(step: number): string {
  return `The adapter of step ${step} could not be stored: this checkpoint cannot be called.`;
}

/** Message for an adapter trained on a quantised base: its loss on that base and, if measured, on the base as served. */
export function servedMessage(
  baseDtype: string,
  quantised: number,
  { served, of }: { served: number | null; of: 'validation' | 'training' },
): string {
  const loss = of === 'validation' ? 'validation loss' : 'loss on examples of the training file';
  const own = quantised.toFixed(4);
  if (served === null)
    return `The figures of this model are those of the base in ${baseDtype}, on which it was trained: ${loss} ${own}. The base as it is served needs more memory than this worker has`;
  return `On the base as it is served the ${loss} is ${served.toFixed(4)}; on the base in ${baseDtype}, on which it was trained, it is ${own}`;
}
