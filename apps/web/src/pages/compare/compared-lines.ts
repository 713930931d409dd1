import type { FineTuningJob, JobMetric } from '@graft/client';
import type { Line } from '../../components/chart/plot-options.ts';
import { type Metric, metricValue } from '../../data/metrics.ts';
import type { Series } from '../../data/series.ts';
import { linesOf, lossLines, type XAxis } from '../../data/series-lines.ts';
import { jobName } from '../../text/job-names.ts';

export interface Compared {
  job: FineTuningJob;
  series: Series;
  /** Palette index: the position in the URL, so that a job keeps its colour. */
  colour: number;
}

export interface ComparedLines {
  training: Line[];
  evaluation: Line[];
}

/** One line per job and chart. */
export function comparedLines(compared: readonly Compared[], xAxis: XAxis, weight: number): ComparedLines {
  const names = uniqueNames(compared);
  return {
    training: compared.flatMap(({ series, colour }, i) =>
      lossLines(
        series.filter(({ kind }) => kind === 'train'),
        xAxis,
        weight,
        names[i]!,
        colour,
      ),
    ),
    evaluation: compared.flatMap(({ series, colour }, i) =>
      linesOf(
        series.filter(({ kind }) => kind === 'evaluation'),
        xAxis,
        [{ name: names[i]!, colour, value: ({ loss }) => loss, weight: 0, isSparse: true }],
        series,
      ),
    ),
  };
}

export function metricLines(compared: readonly Compared[], metric: Metric, xAxis: XAxis): Line[] {
  const names = uniqueNames(compared);
  return compared.flatMap(({ series, colour }, i) => {
    const evaluations = series.filter(({ kind }) => kind === 'evaluation');
    const value = (row: JobMetric) => metricValue(metric, row);
    if (evaluations.every((row) => value(row) === null)) return [];
    return linesOf(
      evaluations,
      xAxis,
      [{ name: names[i]!, colour, value, weight: 0, isSparse: true }],
      series,
    );
  });
}

/** Display names. Jobs with the same name get the end of their id. */
export function uniqueNames(compared: readonly Compared[]): string[] {
  const names = compared.map(({ job }) => jobName(job));
  return names.map((name, i) =>
    names.indexOf(name) === names.lastIndexOf(name) ? name : `${name} (${compared[i]!.job.id.slice(-4)})`,
  );
}
