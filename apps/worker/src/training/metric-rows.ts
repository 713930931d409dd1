/** What a trainer measures, as rows of `job_metrics`. */
import type { OfTrial, SweepStretch, TrainRecord } from '@graft/peft-core';
import type { MetricSeries } from '@graft/peft-core/checkpoints';
import type { JobMetric } from '@graft/service';

type Step = Pick<
  Extract<TrainRecord, { type: 'step' }>,
  'step' | 'epoch' | 'loss' | 'tokenAccuracy' | 'learningRate' | 'gradNorm' | 'tokens' | 'tokensPerSecond'
> & {
  /** Null: in the checkpoint of a version that did not say. */
  memoryBytes: number | null;
};
type Evaluation = Pick<Extract<TrainRecord, { type: 'evaluation' }>, 'step' | 'loss' | 'tokenAccuracy'>;

export function stepRow(record: Step): JobMetric {
  const { step, epoch, loss, tokenAccuracy, learningRate, gradNorm, tokens, tokensPerSecond } = record;
  return {
    kind: 'train',
    ...{ step, epoch, loss, tokenAccuracy, learningRate, gradNorm, tokens, tokensPerSecond },
    memoryBytes: record.memoryBytes,
  };
}

/** Of a sweep: whose row it is, where it counts the steps of all trials. */
export function trialOf(ofTrial: OfTrial | undefined): Pick<JobMetric, 'trial' | 'trialStep'> {
  return ofTrial ? { trial: ofTrial.trial, trialStep: ofTrial.step } : {};
}

/** `epoch` of the training step that it follows. */
export function evaluationRow({ step, loss, tokenAccuracy }: Evaluation, epoch: number | null): JobMetric {
  const ofTraining = { learningRate: null, gradNorm: null, tokens: null, tokensPerSecond: null };
  return { kind: 'evaluation', ...{ step, epoch, loss, tokenAccuracy }, ...ofTraining };
}

/** The rows that were written while the series was measured. */
export function* rowsOf({ train, evaluation }: MetricSeries, firstStep = 1): Generator<JobMetric> {
  for (let i = 0; i < train.loss.length; i++) {
    yield stepRow({
      step: firstStep + i,
      epoch: train.epoch[i]!,
      loss: train.loss[i]!,
      tokenAccuracy: numberOrNull(train.tokenAccuracy[i]!),
      learningRate: train.learningRate[i]!,
      gradNorm: train.gradNorm[i]!,
      tokens: train.tokens[i]!,
      tokensPerSecond: train.tokensPerSecond[i]!,
      memoryBytes: numberOrNull(train.memoryBytes[i]!),
    });
  }
  for (let i = 0; i < evaluation.step.length; i++) {
    const step = evaluation.step[i]!;
    const measured = {
      step,
      loss: evaluation.loss[i]!,
      tokenAccuracy: numberOrNull(evaluation.tokenAccuracy[i]!),
    };
    yield evaluationRow(measured, train.epoch[step - firstStep] ?? null);
  }
}

/** The same of a sweep. */
export function* sweepRows(stretches: readonly SweepStretch[]): Generator<JobMetric> {
  for (const { trial, offset, firstStep, series } of stretches)
    for (const row of rowsOf(series, firstStep))
      yield { ...row, step: offset + row.step, ...trialOf({ trial, step: row.step }) };
}

function numberOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
