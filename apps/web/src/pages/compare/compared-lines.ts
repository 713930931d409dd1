import type { FineTuningJob } from '@graft/client';
import type { Line } from '../../components/chart/plot-options.ts';
import type { Series } from '../../data/series.ts';
import { type Along, linesOf, lossLines } from '../../data/series-lines.ts';
import { jobName } from '../../text/job-names.ts';

/** A job of the comparison. */
export interface Compared {
  job: FineTuningJob;
  series: Series;
  /** By its place in the address, so that it stays the same. */
  colour: number;
}

export interface ComparedLines {
  training: Line[];
  evaluation: Line[];
}

/** Of each job one curve a chart. Jobs of one name are told apart by their ids. */
export function comparedLines(compared: readonly Compared[], along: Along, weight: number): ComparedLines {
  const names = namesOf(compared);
  return {
    training: compared.flatMap(({ series, colour }, i) =>
      lossLines(
        series.filter(({ kind }) => kind === 'train'),
        along,
        weight,
        names[i]!,
        colour,
      ),
    ),
    evaluation: compared.flatMap(({ series, colour }, i) =>
      linesOf(
        series.filter(({ kind }) => kind === 'evaluation'),
        along,
        [{ name: names[i]!, colour, value: ({ loss }) => loss, weight: 0, isSparse: true }],
        series,
      ),
    ),
  };
}

export function namesOf(compared: readonly Compared[]): string[] {
  const names = compared.map(({ job }) => jobName(job));
  return names.map((name, i) =>
    names.indexOf(name) === names.lastIndexOf(name) ? name : `${name} (${compared[i]!.job.id.slice(-4)})`,
  );
}
