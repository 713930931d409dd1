import type { Side } from '../training/lock-step.ts';
import {
  between,
  gigabytes,
  markdownTable,
  median,
  milliseconds,
  type Quartiles,
  quartiles,
  times,
} from '../training/report.ts';
import type { Precision } from '../training/sides.ts';

/** Steps after the reference pass that are not counted: their graph is made, their memory found. */
export const excludedSteps = 2;

/** A side's answers, the first of which is its reference pass, and the tokens of each of its steps. */
export interface Stepped extends Pick<Side, 'name' | 'steps'> {
  tokens: number[];
}

export interface SideFigures {
  name: string;
  /** Of a step, median. */
  seconds: number;
  /** Of the reference pass over all pairs; 0 where each step computes its own. */
  referenceSeconds: number;
  peakBytes: number;
  /** Of the first step: all sides' are on the same pairs. */
  firstLoss: number;
  /** How many times the first side's speed is this one's, by time per token: of steps alone, and with each step's share of the reference pass. */
  speedup: Quartiles;
  withReference: Quartiles;
  /** As `withReference`, of the processor's seconds, which other work on the machine changes less. */
  cpu: Quartiles;
}

export interface Comparison {
  recipe: string;
  precision: Precision;
  /** Of a step, prompts counted with each answer, no padding: median. */
  tokens: number;
  sides: SideFigures[];
}

/** The first side is compared with the others. The pairs of all steps are one epoch, over which the reference pass is spread. */
export function compare(recipe: string, precision: Precision, all: Stepped[]): Comparison {
  const [first] = all as [Stepped];
  return {
    recipe,
    precision,
    tokens: median(first.tokens.slice(excludedSteps)),
    sides: all.map((side) => {
      const ratios = (counts: boolean, of: 'seconds' | 'cpu' = 'seconds') => {
        const [own, base] = [perToken(side, counts, of), perToken(first, counts, of)];
        return quartiles(own.map((each, i) => each / base[i]!));
      };
      const [reference, ...steps] = side.steps;
      return {
        name: side.name,
        seconds: median(steps.slice(excludedSteps).map((step) => step.seconds)),
        referenceSeconds: reference!.seconds,
        peakBytes: steps.at(-1)!.peak,
        firstLoss: steps[0]!.loss,
        speedup: ratios(false),
        withReference: ratios(true),
        cpu: ratios(true, 'cpu'),
      };
    }),
  };
}

/** Seconds of each counted step by its tokens, with its tokens' share of the reference pass if that `counts`. */
function perToken(
  { steps: [reference, ...steps], tokens }: Stepped,
  counts: boolean,
  of: 'seconds' | 'cpu',
): number[] {
  const all = tokens.reduce((sum, each) => sum + each, 0);
  const share = counts ? reference![of]! / all : 0;
  return steps.map((step, i) => step[of]! / tokens[i]! + share).slice(excludedSteps);
}

/** The first step's losses of the sides are that of Graft within this in fp32. */
const tolerance = 1e-2;

/** What is wrong with the first step's losses in fp32; null where nothing is. */
export function lossFault({ recipe, precision, sides }: Comparison): string | null {
  if (precision !== 'fp32') return null;
  const [graft, ...others] = sides as [SideFigures, ...SideFigures[]];
  const off = others.find(({ firstLoss }) => !(Math.abs(firstLoss - graft.firstLoss) < tolerance));
  return off
    ? `${recipe}: the first loss is ${graft.firstLoss} with ${graft.name} and ${off.firstLoss} with ${off.name}`
    : null;
}

const header = ['pairs', 'precision', 'tokens', 'against', 'Graft ms', 'its ms', 'speed', 'quartiles'];
header.push('Graft reference s', 'its reference s', 'with reference', 'by CPU time', 'quartiles');
header.push('Graft GB', 'its GB', 'memory');

export function table(comparisons: readonly Comparison[]): string {
  const rows = comparisons.flatMap(({ recipe, precision, tokens, sides }) => {
    const [graft, ...rivals] = sides as [SideFigures, ...SideFigures[]];
    return rivals.map((rival) => [
      recipe,
      precision,
      tokens.toFixed(0),
      rival.name,
      milliseconds(graft.seconds),
      milliseconds(rival.seconds),
      times(rival.speedup.median),
      between(rival.speedup, times),
      graft.referenceSeconds.toFixed(1),
      rival.referenceSeconds === 0 ? 'in each step' : rival.referenceSeconds.toFixed(1),
      times(rival.withReference.median),
      times(rival.cpu.median),
      between(rival.cpu, times),
      gigabytes(graft.peakBytes),
      gigabytes(rival.peakBytes),
      times(graft.peakBytes / rival.peakBytes),
    ]);
  });
  return markdownTable(header, rows);
}
