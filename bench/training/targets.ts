import { percent, type SideFigures, times } from '../../scripts/measuring/report.ts';
import type { TrainingComparison } from './report.ts';
import type { Precision, SideName } from './sides.ts';
import type { StartFigures } from './start.ts';

export interface Measured {
  comparisons: readonly TrainingComparison[];
  start?: StartFigures | undefined;
}

/** A bound that a figure of Graft must keep: a minimum or a maximum. */
export interface Target {
  of: string;
  bound: { least: number } | { most: number };
  format(value: number): string;
  /** Undefined if the run did not measure it. */
  measured(run: Measured): number | undefined;
}

const find = ({ comparisons }: Measured, workload: string, precision: Precision) =>
  comparisons.find((one) => one.workload === workload && one.precision === precision);

/** Computes a figure from the measurements of Graft and a rival; undefined unless both exist. */
const comparedWith =
  (workload: string, precision: Precision, name: SideName, figure: (...sides: SideFigures[]) => number) =>
  (run: Measured) => {
    const [graft, ...rivals] = (find(run, workload, precision)?.sides ?? []) as SideFigures[];
    const rival = rivals.find((side) => side.name === name);
    return graft && rival && figure(graft, rival);
  };

/** Speed, as a multiple of a rival's. */
const speed = (workload: string, precision: Precision, least: number, rival: SideName = 'peft'): Target => ({
  of: `${workload}, ${precision}: speed, against ${rival}`,
  bound: { least },
  format: times,
  measured: comparedWith(workload, precision, rival, (_, { speedup }) => speedup.median),
});

/** Peak memory, as a share of HF PEFT's. */
const memory = (workload: string, precision: Precision): Target => ({
  of: `${workload}, ${precision}: peak memory, against peft`,
  bound: { most: precision === 'bf16' ? 0.5 : 0.62 },
  format: times,
  measured: comparedWith(workload, precision, 'peft', (graft, rival) => graft.peakBytes / rival.peakBytes),
});

/** Graft's peak memory in bf16, as a multiple of that with another workload. */
const peakComparedWith = (workload: string, other: string, most: number): Target => ({
  of: `${workload}: peak memory, against ${other}`,
  bound: { most },
  format: times,
  measured(run) {
    const [own, its] = [workload, other].map((name) => find(run, name, 'bf16')?.sides[0]?.peakBytes);
    return own && its && own / its;
  },
});

const wall = (workload: string, precision: Precision, least: number): Target => ({
  of: `${workload}, ${precision}: share of the wall`,
  bound: { least },
  format: percent,
  measured: (run) => find(run, workload, precision)?.wall?.share.median,
});

const start = (of: string, most: number, measured: (run: StartFigures) => number | undefined): Target => ({
  of,
  bound: { most },
  format: (seconds) => `${seconds.toFixed(1)} s`,
  measured: (run) => run.start && measured(run.start),
});

const lighter = [
  'demo',
  'demo-all',
  'demo-unshared',
  'long-prompt',
  'mixed',
  'synthetic',
  'classifier',
  'rewriting',
];

export const targets: Target[] = [
  speed('demo', 'bf16', 3.5),
  speed('demo-all', 'bf16', 3.5),
  speed('demo-unshared', 'bf16', 2.3),
  speed('long-prompt', 'bf16', 12),
  speed('mixed', 'bf16', 2.3),
  speed('mixed', 'bf16', 1.5, 'expert'),
  speed('synthetic', 'bf16', 1.8),
  speed('synthetic', 'fp32', 2.6),
  wall('synthetic', 'bf16', 0.7),
  wall('synthetic', 'fp32', 0.7),
  ...lighter.map((name) => memory(name, 'bf16')),
  ...lighter.filter((name) => name !== 'demo-unshared').map((name) => memory(name, 'fp32')),
  peakComparedWith('demo-nf4', 'demo', 0.8),
  peakComparedWith('one-4096', 'one-1024', 2),
  start('first step of a job, cold', 3, ({ cold }) => cold.median),
  start('first step of a job, warm', 1, ({ warm }) => warm.median),
  start('the demo, set up before', 90, ({ demoSeconds }) => demoSeconds),
];

export interface Verdict extends Target {
  value: number;
  holds: boolean;
}

/** Checks the targets that the run measured. */
export function verdictsOn(run: Measured): Verdict[] {
  return targets.flatMap((target) => {
    const value = target.measured(run);
    if (value === undefined) return [];
    const { bound } = target;
    return [{ ...target, value, holds: 'least' in bound ? value >= bound.least : value <= bound.most }];
  });
}

/** Formats one line for each verdict. */
export function formatVerdicts(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map(({ of, bound, format, value, holds }) => {
    const wanted = 'least' in bound ? `at least ${format(bound.least)}` : `at most ${format(bound.most)}`;
    return `${holds ? '✔' : '✖'} ${of}: ${format(value)}, to be ${wanted}`;
  });
  return lines.join('\n');
}
