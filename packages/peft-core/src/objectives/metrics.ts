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

/** Matches the name of a metric on one of several validation sets, which no other metric has. */
export const SET_METRIC = '^eval_[a-z0-9][a-z0-9_]*_[a-z0-9]+$';
const isMeasured = new Set([EVAL_LOSS, ...metrics.map(({ name }) => `eval_${name}`)]);

/** Name of a metric on one validation set; `metric` is `loss` or the wire name of a metric. */
export const setMetric = (set: string, metric: string): string => `eval_${set}_${metric}`;

/** The metric, named as of all validation examples, that this one is on one of the sets; null if it is on none of them. */
export function metricOfSet(name: string, sets: readonly string[]): string | null {
  for (const set of sets) {
    const prefix = setMetric(set, '');
    if (name.startsWith(prefix) && bestMetrics.includes(`eval_${name.slice(prefix.length)}`))
      return `eval_${name.slice(prefix.length)}`;
  }
  return null;
}

/**
 * A `metric_for_best_model` by its full name: like HF's Trainer, Graft accepts one without `eval_`, as `rewards_accuracy`. Names of no
 * metric are returned unchanged.
 */
export function fullMetricName(name: string): string {
  const full = `eval_${name}`;
  if (bestMetrics.includes(full)) return full;
  const isOfSet = bestMetrics.some((best) => name.endsWith(best.slice('eval'.length)));
  return !name.startsWith('eval_') && isOfSet && isSetMetric(full) ? full : name;
}

/** Returns true if this is the name of a metric on one validation set, as a column of a checkpoint. */
export const isSetMetric = (name: string): boolean =>
  new RegExp(SET_METRIC).test(name) && !isMeasured.has(name);

/** Returns true if higher values of a `metric_for_best_model` are better. */
export const isGreaterBetter = (name: string): boolean =>
  metrics.some(
    ({ forBestModel, better }) =>
      forBestModel !== undefined &&
      better === 'higher' &&
      (forBestModel === name || (isSetMetric(name) && name.endsWith(forBestModel.slice('eval'.length)))),
  );

/** The value of a `metric_for_best_model` in an evaluation; NaN: not measured. */
export function bestMetricOf(
  name: string,
  evaluation: { loss: number; tokenAccuracy: number | null; metrics?: Readonly<Record<string, number>> },
): number {
  if (name === EVAL_LOSS) return evaluation.loss;
  if (isSetMetric(name)) return evaluation.metrics?.[name] ?? Number.NaN;
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

/** Returns true if the objective has right and wrong targets. */
export const measuresAccuracy = (name: ObjectiveName): boolean =>
  (objectives[name] as Objective).metrics.some(({ field }) => field === 'token_accuracy');

/** The name of each metric on a validation set, after `eval_<name>_`: that of `metric_for_best_model`, or the wire name. */
const nameInSet = ({ name, forBestModel }: Metric): string => forBestModel?.slice('eval_'.length) ?? name;

/** The measurements of one validation set by their wire names, `eval_<name>_loss` and so on. */
export function measuredOfSet(
  set: string,
  objective: ObjectiveName,
  { loss, metrics: values }: { loss: number; metrics: Readonly<Record<string, number>> },
): Record<string, number> {
  const measured = { [setMetric(set, 'loss')]: loss };
  for (const metric of (objectives[objective] as Objective).metrics)
    if (metric.name in values) measured[setMetric(set, nameInSet(metric))] = values[metric.name]!;
  return measured;
}

/** The measurements of a validation set that may choose the best model, by wire name. */
export const columnsOfSet = (set: string, objective: ObjectiveName): string[] => {
  const choosing = (objectives[objective] as Objective).metrics.filter(({ forBestModel }) => forBestModel);
  return ['loss', ...choosing.map(nameInSet)].map((metric) => setMetric(set, metric));
};
