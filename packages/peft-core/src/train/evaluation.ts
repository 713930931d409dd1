import { scalarOf } from '@graft/tf-graph';
import type { ResolvedTraining } from '../config/index.ts';
import {
  type BatchPlan,
  type FilledBatch,
  fillBatch,
  type SequenceLayout,
  TextNumbers,
  type TrainingData,
  type TrainingExample,
  totalWeight,
} from '../examples/index.ts';
import { measuresAccuracy, metricsOf } from '../objectives/metrics.ts';
import type { Outcome } from '../objectives/objective.ts';
import { feedsOf, losses } from './objectives/losses.ts';
import { addSums, type Evaluate, type EvaluationProgram } from './train-program.ts';

/** Number of examples that is enough to show whether two models differ. */
const VERIFICATION_EXAMPLES = 32;

/** The examples that a model is measured on. */
export interface Measured {
  examples: TrainingExample[];
  measuredOn: 'validation' | 'training';
}

/** The validation examples. Without any: the first training examples if an adapter is to be verified, else null. */
export function measuredExamples(data: TrainingData, verify: boolean): Measured | null {
  if (data.validation.length > 0) return { examples: data.validation, measuredOn: 'validation' };
  return verify ? { examples: data.training.slice(0, VERIFICATION_EXAMPLES), measuredOn: 'training' } : null;
}

/** Measurements of a model besides its loss, by wire name: see `objectives/<name>/objective.ts`. */
export type Metrics = Record<string, number>;

export interface Measurement {
  /** Mean over all labels, or over all examples to embed, by their weights. */
  loss: number;
  /** Null for objectives without right or wrong targets. */
  tokenAccuracy: number | null;
  metrics: Metrics;
}

/** Whether pairs are ranked in pools; jobs of versions without `mini_batch_size` measure pairs batch by batch. */
export const retrievesPairs = (training: Partial<Pick<ResolvedTraining, 'mini_batch_size'>>): boolean =>
  training.mini_batch_size !== undefined;

/** Measures a model on every example of the plan, each once. */
export function evaluate(
  built: EvaluationProgram,
  plan: BatchPlan,
  examples: TrainingExample[],
  layout: SequenceLayout,
): Measurement {
  const { program, objective, varies } = built;
  if (!built.evaluate) throw new Error('the program was built without a grid to measure on');
  const by = built.evaluate();
  const data = { plan, examples, layout };
  const feeds = (batch: FilledBatch) => feedsOf(objective, batch, 1, varies);
  const outcome =
    'measure' in by ? measureBatches(built, by.measure, data, feeds) : by.measureAll(program, data, feeds);
  const { loss, accuracy } = outcome;
  return { loss, tokenAccuracy: accuracy, metrics: metricsOf(objective, 'evaluation', outcome) };
}

function measureBatches(
  { program, objective }: EvaluationProgram,
  measure: Extract<Evaluate, { measure: unknown }>['measure'],
  { plan, examples, layout }: { plan: BatchPlan; examples: TrainingExample[]; layout: SequenceLayout },
  feedsOf: (batch: FilledBatch) => Parameters<typeof program.run<(typeof measure)['inputs'], never>>[1],
): Outcome {
  let loss = 0;
  let correct = 0;
  let count = 0;
  let weight = 0;
  const wanted: number[] = [];
  const predicted: number[] = [];
  const sums: Record<string, number> = {};
  for (let step = 0; step < plan.steps; step++) {
    const batch = fillBatch(plan, examples, step, 0, layout, new TextNumbers(true));
    const out = program.run(measure, feedsOf(batch));
    loss += scalarOf(out.loss);
    correct += scalarOf(out.correct);
    count += batch.labelCount;
    weight += totalWeight(batch);
    addSums(out, sums);
    if (!out.predictions) continue;
    const targets = losses[objective].wanted(batch);
    for (let k = 0; k < targets.length; k++) {
      wanted.push(targets[k]!);
      predicted.push(out.predictions.data[k]!);
    }
  }
  return {
    loss: loss / weight,
    weight,
    accuracy: measuresAccuracy(objective) ? correct / count : null,
    wanted,
    predicted,
    classes: layout.classes ?? 0,
    means: meansOf(sums, count),
  };
}

export const meansOf = (sums: Readonly<Record<string, number>>, count: number): Outcome['means'] =>
  Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / count]));
