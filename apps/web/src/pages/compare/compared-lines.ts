import type { FineTuningJob, JobMetric } from '@graft/client';
import type { Line } from '../../components/chart/plot-options.ts';
import type { Series } from '../../data/series.ts';
import { evaluationLines, trainingLines, trainingLoss, type XAxis } from '../../data/series-lines.ts';
import { jobName } from '../../text/job-names.ts';

export interface Compared {
  job: FineTuningJob;
  series: Series;
  /** Palette index: the position in the URL, so that a job keeps its colour. */
  colour: number;
}

export type ComparedLines = ReturnType<typeof comparedLines>;

/** One line per job and chart. */
export function comparedLines(compared: readonly Compared[], xAxis: XAxis, weight: number) {
  const names = uniqueNames(compared);
  const training = compared.flatMap(({ series, colour }, i) =>
    trainingLines(series, xAxis, { name: names[i]!, colour, value: trainingLoss }, weight),
  );
  return { training, evaluation: comparedEvaluations(compared, xAxis, ({ loss }) => loss) };
}

/** A line per job of a value of evaluations. */
export function comparedEvaluations(
  compared: readonly Compared[],
  xAxis: XAxis,
  value: (row: JobMetric) => number | null,
): Line[] {
  const names = uniqueNames(compared);
  return compared.flatMap(({ series, colour }, i) =>
    evaluationLines(series, xAxis, { name: names[i]!, colour, value }),
  );
}

/** Display names. Jobs with the same name get the end of their id. */
export function uniqueNames(compared: readonly Compared[]): string[] {
  const names = compared.map(({ job }) => jobName(job));
  return names.map((name, i) =>
    names.indexOf(name) === names.lastIndexOf(name) ? name : `${name} (${compared[i]!.job.id.slice(-4)})`,
  );
}
