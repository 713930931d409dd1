import type { FineTuningJob, JobMetric, Wire } from '@graft/client';
import { useJobOptions } from './job-options.ts';

export type Metric = Wire.FineTuningMetric;

type MeasuredJob = Pick<FineTuningJob, 'peft' | 'method'>;

/** Descriptions of what may be measured of a job, by the objectives of its method and task: each name once. */
export const useMetrics = (job: MeasuredJob): Metric[] => metricsOf(useJobOptions().data, [job]);

/** Descriptions of what may be measured of any of these jobs. */
export function metricsOf(
  options: Wire.FineTuningOptions | undefined,
  jobs: readonly MeasuredJob[],
): Metric[] {
  const own = (options?.objectives ?? []).filter((each) =>
    jobs.some(
      ({ method, peft: { task_type: task } }) =>
        each.method === method.type && each.tasks.includes(task as Wire.FineTuningObjective['tasks'][number]),
    ),
  );
  const byName = new Map(own.flatMap(({ metrics }) => metrics).map((metric) => [metric.name, metric]));
  return [...byName.values()];
}

/** Value of a metric in a row; null: none. */
export function metricValue({ name, field, measured }: Metric, row: JobMetric): number | null {
  if (!measured.includes(row.kind === 'train' ? 'step' : 'evaluation')) return null;
  const fieldValue = field === null ? null : row[field as keyof JobMetric];
  return row.metrics[name] ?? (typeof fieldValue === 'number' ? fieldValue : null);
}
