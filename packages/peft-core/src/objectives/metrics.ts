/** The metrics of all objectives: names for `metric_for_best_model`, columns of checkpoints, and computed values. */
import { contrastive } from './contrastive/objective.ts';
import type { Metric, MetricDescription, Objective, Outcome } from './objective.ts';
import { listedObjectives, type ObjectiveName, objectives } from './objectives.ts';

const metrics: readonly Metric[] = listedObjectives.flatMap((each) => each.metrics);

/** The loss as named in `metric_for_best_model`. */
export const EVAL_LOSS = 'eval_loss';

/** Valid values of `metric_for_best_model`. */
export const bestMetrics: readonly string[] = [
  ...new Set([EVAL_LOSS, ...metrics.flatMap(({ forBestModel }) => forBestModel ?? [])]),
];

/** Whether higher values of a `metric_for_best_model` are better. */
export const isGreaterBetter = (name: string): boolean =>
  metrics.some(({ forBestModel, better }) => forBestModel === name && better === 'higher');

/** The value of a `metric_for_best_model` in an evaluation; NaN: not measured. */
export function bestMetricOf(
  name: string,
  evaluation: { loss: number; tokenAccuracy: number | null; metrics?: Readonly<Record<string, number>> },
): number {
  if (name === EVAL_LOSS) return evaluation.loss;
  const metric = metrics.find(({ forBestModel }) => forBestModel === name);
  if (metric?.field === 'token_accuracy') return evaluation.tokenAccuracy ?? Number.NaN;
  return evaluation.metrics?.[metric?.name ?? ''] ?? Number.NaN;
}

/** Evaluation columns that the series of every checkpoint has, whatever its objective. */
export const everyColumn: readonly string[] = contrastive.metrics.flatMap((each) =>
  'column' in each ? each.column : [],
);

/** Evaluation columns in the checkpoints of this objective, besides `step`, `loss` and `tokenAccuracy`. */
export const metricColumns = (name: ObjectiveName): string[] => {
  const own = (objectives[name] as Objective).metrics.flatMap(({ column }) => column ?? []);
  return [...new Set([...everyColumn, ...own])];
};

/** The name of each such column's metric. */
export const namesOfColumns: ReadonlyMap<string, string> = new Map(
  metrics.flatMap(({ column, name }) => (column === undefined ? [] : [[column, name]])),
);

/** Metrics of every training, whatever its objective, measured by the training loop in each step. */
export const trainingMetrics: readonly MetricDescription[] = [
  {
    name: 'learning_rate',
    label: 'Learning rate',
    unit: 'number',
    better: null,
    measured: ['step'],
    field: 'learning_rate',
  },
  {
    name: 'grad_norm',
    label: 'Gradient norm',
    unit: 'number',
    better: null,
    measured: ['step'],
    field: 'grad_norm',
  },
  {
    name: 'tokens_per_second',
    label: 'Tokens per second',
    unit: 'per_second',
    better: 'higher',
    measured: ['step'],
    field: 'tokens_per_second',
  },
  {
    name: 'memory_bytes',
    label: 'Memory',
    unit: 'bytes',
    better: 'lower',
    measured: ['step'],
    field: 'memory_bytes',
  },
];

/** The objective's metrics that are measured `when`, computed from an outcome, by name. */
export function metricsOf(
  name: ObjectiveName,
  when: 'step' | 'evaluation',
  outcome: Outcome,
): Record<string, number> {
  const values: Record<string, number> = {};
  for (const metric of (objectives[name] as Objective).metrics) {
    // A metric with its own field in a step's record is not repeated in `metrics`.
    const isField = when === 'step' && metric.field !== undefined;
    const value = metric.measured.includes(when) && !isField ? metric.measure(outcome) : null;
    if (value !== null) values[metric.name] = value;
  }
  return values;
}

/** Whether the objective has right and wrong targets. */
export const measuresAccuracy = (name: ObjectiveName): boolean =>
  (objectives[name] as Objective).metrics.some(({ field }) => field === 'token_accuracy');
