/** Converts a trainer's measurements to rows of `job_metrics`. */
import { namesOfColumns } from '@graft/peft-core/config';
import type { TrialRef } from '@graft/peft-core/reports';
import type { JobMetric } from '@graft/service/jobs';
import type { SeriesPart, TrainerRecordOf } from './trainer-protocol.ts';

type Step = Pick<
  TrainerRecordOf<'step'>,
  | ('step' | 'epoch' | 'loss' | 'tokenAccuracy' | 'learningRate' | 'gradNorm' | 'tokens' | 'tokensPerSecond')
  | ('memoryBytes' | 'metrics')
>;
type Evaluation = Pick<TrainerRecordOf<'evaluation'>, 'step' | 'loss' | 'tokenAccuracy' | 'metrics'>;

export function stepRow(record: Step): JobMetric {
  const { step, epoch, loss, tokens } = record;
  const metrics = {
    ...record.metrics,
    token_accuracy: record.tokenAccuracy,
    learning_rate: record.learningRate,
    grad_norm: record.gradNorm,
    tokens_per_second: record.tokensPerSecond,
    memory_bytes: record.memoryBytes,
  };
  return { kind: 'train', step, epoch, loss, tokens, metrics: finite(metrics) };
}

/** In a sweep: the trial of a row and its step within the trial. The row's own step counts all trials. */
export function trialOf(trialRef: TrialRef | undefined): Pick<JobMetric, 'trial' | 'trialStep'> {
  return trialRef ? { trial: trialRef.trial, trialStep: trialRef.step } : {};
}

/** `epoch`: that of the preceding training step. */
export function evaluationRow(
  { step, loss, tokenAccuracy, metrics }: Evaluation,
  epoch: number | null,
): JobMetric {
  const measured = finite({ ...metrics, token_accuracy: tokenAccuracy });
  return { kind: 'evaluation', step, epoch, loss, tokens: null, metrics: measured };
}

/** Drops null and non-finite values, which were not measured. */
function finite(metrics: Record<string, number | null>): Record<string, number> {
  const measured = Object.entries(metrics).filter((entry): entry is [string, number] =>
    Number.isFinite(entry[1]),
  );
  return Object.fromEntries(measured);
}

/** The rows of a metric series, as they were written when the series was measured. */
export function* rowsOf(parts: readonly SeriesPart[]): Generator<JobMetric> {
  for (const { trial, offset, firstStep, train, evaluation, sets = {} } of parts) {
    const place = (own: number) => ({
      step: offset + own,
      ...(trial === null ? {} : trialOf({ trial, step: own })),
    });
    for (let i = 0; i < train.loss.length; i++) {
      const row = stepRow({
        step: firstStep + i,
        epoch: train.epoch[i]!,
        loss: train.loss[i]!,
        tokenAccuracy: train.tokenAccuracy[i]!,
        learningRate: train.learningRate[i]!,
        gradNorm: train.gradNorm[i]!,
        tokens: train.tokens[i]!,
        tokensPerSecond: train.tokensPerSecond[i]!,
        memoryBytes: train.memoryBytes[i]!,
      });
      yield { ...row, ...place(row.step) };
    }
    const kept: Readonly<Record<string, readonly number[]>> = evaluation;
    for (let i = 0; i < evaluation.step.length; i++) {
      const step = evaluation.step[i]!;
      const loss = evaluation.loss[i]!;
      if (!Number.isFinite(loss)) continue;
      const metrics: Record<string, number> = {};
      for (const [column, name] of namesOfColumns) metrics[name] = kept[column]?.[i] ?? Number.NaN;
      for (const [name, values] of Object.entries(sets)) metrics[name] = values[i] ?? Number.NaN;
      const measured = { step, loss, tokenAccuracy: evaluation.tokenAccuracy[i]!, metrics };
      const row = evaluationRow(measured, train.epoch[step - firstStep] ?? null);
      yield { ...row, ...place(step) };
    }
  }
}
