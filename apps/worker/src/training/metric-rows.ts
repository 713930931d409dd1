/** What a trainer measures, as rows of `job_metrics`. */
import type { OfTrial } from '@graft/peft-core';
import type { JobMetric } from '@graft/service';
import type { SeriesPart, TrainerRecordOf } from './trainer-protocol.ts';

type Step = Pick<
  TrainerRecordOf<'step'>,
  'step' | 'epoch' | 'loss' | 'tokenAccuracy' | 'learningRate' | 'gradNorm' | 'tokens' | 'tokensPerSecond'
> & {
  /** Null: in the checkpoint of a version that did not say. */
  memoryBytes: number | null;
};
type Evaluation = Pick<TrainerRecordOf<'evaluation'>, 'step' | 'loss' | 'tokenAccuracy'>;

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

/** The rows that were written while the parts of a series were measured. */
export function* rowsOf(parts: readonly SeriesPart[]): Generator<JobMetric> {
  for (const { trial, offset, firstStep, train, evaluation } of parts) {
    const place = (own: number) => ({
      step: offset + own,
      ...(trial === null ? {} : trialOf({ trial, step: own })),
    });
    for (let i = 0; i < train.loss.length; i++) {
      const row = stepRow({
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
      yield { ...row, ...place(row.step) };
    }
    for (let i = 0; i < evaluation.step.length; i++) {
      const step = evaluation.step[i]!;
      const loss = evaluation.loss[i]!;
      if (!Number.isFinite(loss)) continue;
      const measured = { step, loss, tokenAccuracy: numberOrNull(evaluation.tokenAccuracy[i]!) };
      const row = evaluationRow(measured, train.epoch[step - firstStep] ?? null);
      yield { ...row, ...place(step) };
    }
  }
}

function numberOrNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
