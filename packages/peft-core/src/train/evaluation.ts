import { scalarOf } from '@graft/tf-graph';
import type { ResolvedTraining } from '../config/index.ts';
import {
  type BatchPlan,
  fillBatch,
  type SequenceLayout,
  TextNumbers,
  type TrainingData,
  type TrainingExample,
} from '../examples/index.ts';
import { type Metrics, metricsOf } from './objectives/metrics.ts';
import { classesOf, feedsOf } from './objectives/objective.ts';
import { type EmbeddedPair, poolsOf, type Ranked, type Retrieval, rankPool } from './objectives/retrieval.ts';
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

/** Jobs of versions before there was `mini_batch_size` measure pairs by batches, to the end. */
export const retrievesPairs = (training: Partial<Pick<ResolvedTraining, 'mini_batch_size'>>): boolean =>
  training.mini_batch_size !== undefined;

/** Measures a model on every example of the plan, each once. */
export function evaluate(
  built: EvaluationProgram,
  plan: BatchPlan,
  examples: TrainingExample[],
  layout: SequenceLayout,
): Measurement {
  const { program, objective, model, varies } = built;
  if (!built.evaluate) throw new Error('the program was built without a grid to measure on');
  const by = built.evaluate();
  if ('embed' in by) return retrieve(built, by, plan, examples, layout);
  let loss = 0;
  let correct = 0;
  let count = 0;
  const wanted: number[] = [];
  const predicted: number[] = [];
  for (let step = 0; step < plan.steps; step++) {
    const batch = fillBatch(plan, examples, step, 0, layout, new TextNumbers(true));
    const out = program.run(by.measure, feedsOf(objective, batch, 1, varies));
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

/** Of pairs: how well the positives of a pool are found in it. Batches only bound how many are embedded at a time. */
function retrieve(
  { program, objective, model, varies }: EvaluationProgram,
  retrieval: Retrieval,
  plan: BatchPlan,
  examples: TrainingExample[],
  layout: SequenceLayout,
): Measurement {
  const { sequences, labels } = plan.shape;
  const { width } = retrieval;
  const numbers = new TextNumbers();
  const pools = poolsOf(examples.length);
  const sums: Ranked = { loss: 0, first: 0, amongTen: 0, reciprocal: 0 };
  /** By the number of the example. */
  const held = new Map<number, EmbeddedPair>();
  let done = 0;
  for (let step = 0; step < plan.steps; step++) {
    const batch = fillBatch(plan, examples, step, 0, layout, numbers);
    const units = program.run(retrieval.embed, feedsOf(objective, batch, 1, varies)).units.data;
    // A batch numbers its examples as they come in it.
    const order = new Set(plan.micro(step, 0).map(({ example }) => example));
    for (const [k, example] of [...order].entries()) {
      const vectors = Array.from({ length: sequences }, (_, part) => part * labels + k).filter(
        (vector) => batch.texts[vector]! >= 0,
      );
      held.set(example, {
        texts: vectors.map((vector) => batch.texts[vector]!),
        vectors: vectors.map((vector) => units.slice(vector * width, (vector + 1) * width) as Float32Array),
      });
    }
    done += order.size;
    while (pools[0] && pools[0].to <= done) {
      const { from, to } = pools.shift()!;
      const pool = Array.from({ length: to - from }, (_, i) => held.get(from + i)!);
      const ranked = rankPool(program, retrieval, pool);
      for (const key of Object.keys(sums) as (keyof Ranked)[]) sums[key] += ranked[key];
      for (let i = from; i < to; i++) held.delete(i);
    }
  }
  const count = examples.length;
  const measured = {
    loss: sums.loss / count,
    tokenAccuracy: sums.first / count,
    ranks: { amongTen: sums.amongTen / count, reciprocal: sums.reciprocal / count },
  };
  const { task } = model.architecture;
  const metrics = metricsOf({ objective, task, ...measured, wanted: [], predicted: [] });
  return { loss: measured.loss, tokenAccuracy: measured.tokenAccuracy, metrics };
}
