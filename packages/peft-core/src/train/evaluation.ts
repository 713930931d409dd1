import { scalarOf } from '@graft/tf-graph';
import {
  type BatchPlan,
  fillBatch,
  type SequenceLayout,
  type TrainingData,
  type TrainingExample,
} from '../examples/index.ts';
import { type Metrics, metricsOf } from './objectives/metrics.ts';
import { classesOf, feedsOf } from './objectives/objective.ts';
import type { EvaluationProgram } from './train-program.ts';

/** This many examples show whether two models differ. */
const VERIFICATION_EXAMPLES = 32;

/** What a model is measured on. */
export interface Measured {
  examples: TrainingExample[];
  measuredOn: 'validation' | 'training';
}

/** The validation examples. Without any: to verify an adapter the first of the training file, else nothing. */
export function measuredExamples(data: TrainingData, verify: boolean): Measured | null {
  if (data.validation.length > 0) return { examples: data.validation, measuredOn: 'validation' };
  return verify ? { examples: data.training.slice(0, VERIFICATION_EXAMPLES), measuredOn: 'training' } : null;
}

export interface Measurement {
  /** Mean over all labels, or over all examples to embed. */
  loss: number;
  /** Null for scored pairs: a cosine is near or far, not right or wrong. */
  tokenAccuracy: number | null;
  metrics: Metrics;
}

/** Measures a model on every example of the plan, each once. */
export function evaluate(
  { program, objective, model, evaluate, varies }: EvaluationProgram,
  plan: BatchPlan,
  examples: TrainingExample[],
  layout: SequenceLayout,
): Measurement {
  if (!evaluate) throw new Error('the program was built without a grid to measure on');
  let loss = 0;
  let correct = 0;
  let count = 0;
  const wanted: number[] = [];
  const predicted: number[] = [];
  for (let step = 0; step < plan.steps; step++) {
    const batch = fillBatch(plan, examples, step, 0, layout);
    const out = program.run(evaluate(), feedsOf(objective, batch, 1, varies));
    loss += scalarOf(out.loss);
    correct += scalarOf(out.correct);
    count += batch.labelCount;
    if (!out.predictions) continue;
    const classes = classesOf(objective);
    const ofOne = objective === 'cosine' ? batch.scores : batch.labelIds;
    const targets = classes > 0 ? batch.labelTargets : ofOne;
    for (let k = 0; k < batch.labelCount * Math.max(1, classes); k++) {
      wanted.push(targets[k]!);
      predicted.push(out.predictions.data[k]!);
    }
  }
  const mean = loss / count;
  const tokenAccuracy = objective === 'cosine' ? null : correct / count;
  const metrics = metricsOf({
    objective,
    task: model.architecture.task,
    loss: mean,
    tokenAccuracy,
    wanted,
    predicted,
  });
  return { loss: mean, tokenAccuracy, metrics };
}
