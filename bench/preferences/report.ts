import {
  between,
  type Comparison,
  figuresOf,
  median,
  type Quartiles,
  ratios,
  rivalsTable,
  type SideFigures,
  type Stepped,
  times,
} from '../../scripts/measuring/report.ts';
import type { Precision } from '../training/sides.ts';

/** Steps after the reference pass that are not counted: their graph is made, their memory found. */
export const excludedSteps = 2;

export interface PreferenceFigures extends SideFigures {
  /** Time of the reference pass over all pairs; 0 where each step computes its own. */
  referenceSeconds: number;
  /** As `speedup`, with each step's share of the reference pass. */
  withReference: Quartiles;
  /** As `withReference`, of the processor's seconds, which other work on the machine changes less. */
  cpu: Quartiles;
}

/** Tokens count prompts with each answer. The pairs of all steps are one epoch, over which the reference pass is spread. */
export function compare(
  workload: string,
  precision: Precision,
  all: Required<Pick<Stepped, 'name' | 'steps' | 'tokens' | 'reference'>>[],
): Comparison<PreferenceFigures> {
  const first = all[0]!;
  const tokens = median(first.tokens.slice(excludedSteps));
  const sides = all.map((side) => ({
    ...figuresOf([first, side], tokens, excludedSteps),
    referenceSeconds: side.reference.seconds,
    withReference: ratios([first, side], excludedSteps, 'seconds', true),
    cpu: ratios([first, side], excludedSteps, 'cpu', true),
  }));
  return { workload, precision, tokens, sides };
}

/** The first step's losses of the sides are that of Graft within this in fp32. */
const tolerance = 1e-2;

/** Fault of the first step's losses in fp32; null where there is none. */
export function lossFault({ workload, precision, sides }: Comparison): string | null {
  if (precision !== 'fp32') return null;
  const [graft, ...others] = sides as [SideFigures, ...SideFigures[]];
  const off = others.find(({ firstLoss }) => !(Math.abs(firstLoss - graft.firstLoss) < tolerance));
  return off
    ? `${workload}: the first loss is ${graft.firstLoss} with ${graft.name} and ${off.firstLoss} with ${off.name}`
    : null;
}

export const table = (comparisons: readonly Comparison<PreferenceFigures>[]): string =>
  rivalsTable(comparisons, 'pairs', {
    header: ['Graft reference s', 'its reference s', 'with reference', 'by CPU time', 'quartiles'],
    cells: (graft, rival) => [
      graft.referenceSeconds.toFixed(1),
      rival.referenceSeconds === 0 ? 'in each step' : rival.referenceSeconds.toFixed(1),
      times(rival.withReference.median),
      times(rival.cpu.median),
      between(rival.cpu, times),
    ],
  });
