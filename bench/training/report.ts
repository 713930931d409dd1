import type { Side, Step } from '../../scripts/measuring/processes.ts';
import {
  between,
  type Comparison,
  facts,
  figuresOf,
  gigabytes,
  markdownTable,
  median,
  milliseconds,
  percent,
  type Quartiles,
  quartiles,
  rivalsTable,
  type SideFigures,
} from '../../scripts/measuring/report.ts';
import type { Precision, SideName } from './sides.ts';

/** Number of first steps that are not counted, because TensorFlow optimizes the graph and allocates memory in them. */
export const excludedSteps = 3;

/** `wall`: only if the run measured large matrix products, too. */
export type TrainingComparison = Comparison<SideFigures<SideName>> & { wall?: Wall };

/**
 * The upper bound ("wall") of a step's speed: large matrix products of the same shapes, measured in alternation with the steps.
 */
export type Wall = {
  /** Floating-point operations of the step's products. */
  flops: number;
  /** Floating-point operations per second of the large products. */
  flopsPerSecond: number;
  /** Time of the step's products at that speed, as a share of the time that the first side's step takes. */
  share: Quartiles;
};

/** Compares the first side with each other side, step by step. `flops`: floating-point operations of a step's matrix products. */
export function compare(
  workload: { name: string; precision: Precision; tokens: number[]; flops?: number },
  all: Side[],
): TrainingComparison {
  const sides = all.filter(({ name }) => name !== 'wall');
  const wall = all.find(({ name }) => name === 'wall');
  const [first] = sides as [Side];
  const counted = (side: Side) => side.steps.slice(excludedSteps);
  const tokens = median(workload.tokens.slice(excludedSteps, first.steps.length));
  return {
    workload: workload.name,
    precision: workload.precision,
    tokens,
    ...(wall && workload.flops && { wall: wallOf(workload.flops, counted(wall), counted(first)) }),
    sides: sides.map((side) => figuresOf<SideName>([first, side], tokens, excludedSteps)),
  };
}

function wallOf(flops: number, wall: Step[], steps: Step[]): Wall {
  const share = quartiles(wall.map(({ seconds }, i) => seconds / steps[i]!.seconds));
  return { flops, flopsPerSecond: flops / median(wall.map(({ seconds }) => seconds)), share };
}

/** Graft alone: its memory, and the share of peak throughput that its steps reach. */
export function ownTable(comparisons: readonly TrainingComparison[]): string {
  const header = ['data', 'precision', 'tokens', 'ms', 'peak GB', 'GFLOP', 'wall, GFLOP/s', 'of the wall'];
  const billions = (count: number) => (count / 1e9).toFixed(0);
  const rows = comparisons.map(({ workload, precision, tokens, sides: [graft], wall }) => [
    workload,
    precision,
    tokens.toFixed(0),
    milliseconds(graft!.seconds),
    gigabytes(graft!.peakBytes),
    ...(wall
      ? [
          billions(wall.flops),
          billions(wall.flopsPerSecond),
          percent(wall.share.median),
          between(wall.share, percent),
        ]
      : ['', '', '', '']),
  ]);
  return markdownTable([...header, 'quartiles'], rows);
}

export const markdown = (
  comparisons: readonly TrainingComparison[],
  machine: Record<string, string>,
  title: string,
): string => `# ${title}\n\n${facts(machine)}\n\n${rivalsTable(comparisons)}\n${ownTable(comparisons)}`;
