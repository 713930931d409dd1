import type { ResolvedTraining } from '../config/index.ts';
import type { ValidationSet } from '../config/validation-sets.ts';
import {
  type BatchPlan,
  type FilledBatch,
  fillBatch,
  type MeasuredPlan,
  planMeasuring,
  plansOfSets,
  type SequenceLayout,
  TextNumbers,
  type TrainingData,
  type TrainingExample,
  targetsOf,
} from '../examples/index.ts';
import { measuredOfSet, measuresAccuracy, metricsOf } from '../objectives/metrics.ts';
import type { Outcome } from '../objectives/objective.ts';
import { feedsOf, losses } from './objectives/losses.ts';
import type { ReportOf } from './reports.ts';
import { BatchTotals, type Evaluate, type EvaluationProgram } from './train-program.ts';

/** Number of examples that is enough to show whether two models differ. */
const VERIFICATION_EXAMPLES = 32;

/** The examples that a model is measured on, and batches of them in which each is once; with several sets, each has its own batches. */
export interface Measured {
  examples: TrainingExample[];
  measuredOn: 'validation' | 'training';
  /** The validation files that are also measured separately, in the order of their examples; null: none. */
  sets: readonly ValidationSet[] | null;
  plan: BatchPlan;
}

/** Plans the validation examples. Without any: the first training examples if an adapter is to be verified, else null. */
export function planMeasured(
  { training, validation, validationSets }: TrainingData,
  options: ResolvedTraining,
  layout: SequenceLayout,
  verify = false,
): Measured | null {
  const isValidated = validation.length > 0;
  if (!isValidated && !verify) return null;
  const examples = isValidated ? validation : training.slice(0, VERIFICATION_EXAMPLES);
  const sets = isValidated ? validationSets : null;
  const counts = sets?.map((set) => set.examples) ?? null;
  const plan = planMeasuring(examples, options, layout, counts);
  return { examples, measuredOn: isValidated ? 'validation' : 'training', sets, plan };
}

/** Measurements of a model besides its loss, by wire name. */
export type Metrics = ReportOf<'evaluation'>['metrics'];

export interface Measurement {
  /** Mean over all labels, or over all examples to embed, by their weights. */
  loss: number;
  /** Null for objectives without right or wrong targets. */
  tokenAccuracy: number | null;
  metrics: Metrics;
}

/** An outcome of one set, and the number of targets or of examples to embed that its means are over. */
interface Counted {
  outcome: Outcome;
  count: number;
}

/**
 * Measures a model on every example, each once. The loss of several sets is the mean over the targets of all; the metrics
 * are those of all sets together, and of each set as `eval_<name>_<metric>`.
 */
export function evaluate(
  built: EvaluationProgram,
  { examples, sets, plan }: Measured,
  layout: SequenceLayout,
): Measurement {
  const { program, objective, varies } = built;
  if (!built.evaluate) throw new Error('the program was built without a grid to measure on');
  const by = built.evaluate();
  const feeds = (batch: FilledBatch) => feedsOf(objective, batch, 1, varies);
  const measure = (plan: MeasuredPlan, examples: TrainingExample[]): Counted => {
    const data = { plan, examples, layout };
    return 'measure' in by
      ? measureBatches(built, by.measure, data, feeds)
      : { outcome: by.measureAll(program, data, feeds), count: examples.length };
  };
  const measurementOf = ({ outcome }: Counted): Measurement => ({
    loss: outcome.loss,
    tokenAccuracy: outcome.accuracy,
    metrics: metricsOf(objective, 'evaluation', outcome),
  });
  if (!sets) return measurementOf(measure(plan, examples));
  let first = 0;
  const each = plansOfSets(
    plan,
    sets.map((set) => set.examples),
  ).map((own, i) => {
    const start = first;
    first += sets[i]!.examples;
    return measure(own, examples.slice(start, first));
  });
  const all = measurementOf(together(each));
  for (const [i, { name }] of sets.entries())
    Object.assign(all.metrics, measuredOfSet(name, objective, measurementOf(each[i]!)));
  return all;
}

/** One outcome of several sets: means are over the targets of all, that of the loss by their weights. */
function together(sets: readonly Counted[]): Counted {
  const count = sets.reduce((sum, set) => sum + set.count, 0);
  const mean = (value: (outcome: Outcome) => number) =>
    sets.reduce((sum, { outcome, count }) => sum + value(outcome) * count, 0) / count;
  const [{ outcome: first }] = sets as [Counted];
  const weight = sets.reduce((sum, { outcome }) => sum + outcome.weight, 0);
  const outcome = {
    loss: sets.reduce((sum, { outcome }) => sum + outcome.loss * outcome.weight, 0) / weight,
    weight,
    accuracy: first.accuracy === null ? null : mean(({ accuracy }) => accuracy!),
    wanted: sets.flatMap(({ outcome }) => outcome.wanted as number[]),
    predicted: sets.flatMap(({ outcome }) => outcome.predicted as number[]),
    classes: first.classes,
    means: Object.fromEntries(
      Object.keys(first.means).map((name) => [name, mean(({ means }) => means[name]!)]),
    ),
  };
  return { outcome, count };
}

function measureBatches(
  { program, objective }: EvaluationProgram,
  measure: Extract<Evaluate, { measure: unknown }>['measure'],
  { plan, examples, layout }: { plan: MeasuredPlan; examples: TrainingExample[]; layout: SequenceLayout },
  feedsOf: (batch: FilledBatch) => Parameters<typeof program.run<(typeof measure)['inputs'], never>>[1],
): Counted {
  const totals = new BatchTotals();
  let count = 0;
  let weight = 0;
  const wanted: number[] = [];
  const predicted: number[] = [];
  for (let step = 0; step < plan.steps; step++) {
    const batch = fillBatch(plan, examples, step, 0, layout, new TextNumbers(true));
    const out = program.run(measure, feedsOf(batch));
    totals.add(out);
    const of = targetsOf(batch);
    count += of.count;
    weight += of.weight;
    if (!out.predictions) continue;
    const targets = losses[objective].wanted(batch);
    for (let k = 0; k < targets.length; k++) {
      wanted.push(targets[k]!);
      predicted.push(out.predictions.data[k]!);
    }
  }
  const outcome = {
    loss: totals.loss / weight,
    weight,
    accuracy: measuresAccuracy(objective) ? totals.correct / count : null,
    wanted,
    predicted,
    classes: layout.classes ?? 0,
    means: totals.means(count),
  };
  return { outcome, count };
}
