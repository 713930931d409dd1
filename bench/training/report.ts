import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import type { Side, Step } from './lock-step.ts';
import type { Precision, SideName } from './sides.ts';

/** Steps that are not counted: their graph is made, their memory found. */
export const excludedSteps = 3;

/** One workload's steps, all sides'. */
export type Comparison = {
  workload: string;
  precision: Precision;
  /** Useful tokens of a step (no padding). */
  tokens: number;
  sides: SideFigures[];
  /** Where the side `wall` was one. */
  wall?: Wall;
};

/** The matrix products of a step, beside large ones of its shape that were measured in the same lock-step. */
export type Wall = {
  /** Floating-point operations of the step's. */
  flops: number;
  /** Of the large ones in a second. */
  flopsPerSecond: number;
  /** What the step's take at that speed, of the time that the first side's step takes. */
  share: Quartiles;
};

export type SideFigures = {
  name: SideName;
  /** Median. */
  seconds: number;
  tokensPerSecond: number;
  /** Of the process. */
  peakBytes: number;
  residentBytes: number;
  /** From the process's start. */
  firstStepAfter: number;
  firstLoss: number;
  lastLoss: number;
  /** How many times the first side's speed is this one's: of the pairs of steps. 1 for the first side. */
  speedup: Quartiles;
};

export type Quartiles = { lower: number; median: number; upper: number };

/** The sides of a lock-step run; the first one's speed is compared with each of the others step by step. `flops`: of a step's products. */
export function compare(
  workload: { name: string; precision: Precision; tokens: number[]; flops?: number },
  all: Side[],
): Comparison {
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
    sides: sides.map((side) => {
      const seconds = median(counted(side).map((step) => step.seconds));
      const last = side.steps.at(-1)!;
      return {
        name: side.name as SideName,
        seconds,
        tokensPerSecond: tokens / seconds,
        peakBytes: last.peak,
        residentBytes: last.resident,
        firstStepAfter: side.firstStepAfter,
        firstLoss: side.steps[0]!.loss,
        lastLoss: last.loss,
        speedup: quartiles(counted(side).map((step, i) => step.seconds / counted(first)[i]!.seconds)),
      };
    }),
  };
}

function wallOf(flops: number, wall: Step[], steps: Step[]): Wall {
  const share = quartiles(wall.map(({ seconds }, i) => seconds / steps[i]!.seconds));
  return { flops, flopsPerSecond: flops / median(wall.map(({ seconds }) => seconds)), share };
}

export function quartiles(values: number[]): Quartiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => {
    const place = share * (sorted.length - 1);
    const [low, high] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
    return low + (high - low) * (place - Math.floor(place));
  };
  return { lower: at(0.25), median: at(0.5), upper: at(0.75) };
}

export const median = (values: number[]): number => quartiles(values).median;

/** Graft beside each rival. */
export function table(comparisons: readonly Comparison[]): string {
  const header = ['data', 'precision', 'tokens', 'against', 'Graft ms', 'its ms', 'speed', 'quartiles'];
  header.push('Graft GB', 'its GB', 'memory');
  const rows = comparisons.flatMap(({ workload, precision, tokens, sides }) => {
    const [graft, ...rivals] = sides as [SideFigures, ...SideFigures[]];
    return rivals.map((rival) => [
      workload,
      precision,
      tokens.toFixed(0),
      rival.name,
      milliseconds(graft.seconds),
      milliseconds(rival.seconds),
      times(rival.speedup.median),
      between(rival.speedup, times),
      gigabytes(graft.peakBytes),
      gigabytes(rival.peakBytes),
      times(graft.peakBytes / rival.peakBytes),
    ]);
  });
  return markdownTable(header, rows);
}

/** Graft alone: its memory, and the share of peak throughput that its steps reach. */
export function ownTable(comparisons: readonly Comparison[]): string {
  const header = ['data', 'precision', 'tokens', 'ms', 'peak GB', 'GFLOP', 'wall, GFLOP/s', 'of the wall'];
  const rows = comparisons.map(({ workload, precision, tokens, sides: [graft], wall }) => [
    workload,
    precision,
    tokens.toFixed(0),
    milliseconds(graft!.seconds),
    gigabytes(graft!.peakBytes),
    ...(wall
      ? [billions(wall.flops), billions(wall.flopsPerSecond), percent(wall.share.median)]
      : ['', '', '']),
    wall ? between(wall.share, percent) : '',
  ]);
  return markdownTable([...header, 'quartiles'], rows);
}

/** Aligned; a line for each row. */
export function markdownTable(header: string[], rows: string[][]): string {
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return `${[line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')}\n`;
}

/** On one line. */
export const facts = (machine: Record<string, string>): string =>
  Object.entries(machine)
    .map(([name, value]) => `${name} ${value}`)
    .join(' · ');

export const markdown = (
  comparisons: readonly Comparison[],
  machine: Record<string, string>,
  title: string,
): string => `# ${title}\n\n${facts(machine)}\n\n${table(comparisons)}\n${ownTable(comparisons)}`;

/** What the figures were measured on; without `python` nothing of its libraries. */
export function describeMachine(python: string | null): Record<string, string> {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: String(cpus().length),
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    Node: process.version,
    ...(python === null ? {} : pythonVersions(python)),
  };
}

function pythonVersions(python: string): Record<string, string> {
  const script =
    'import torch, transformers, peft; print(torch.__version__, transformers.__version__, peft.__version__)';
  const versions = execFileSync(python, ['-c', script], { encoding: 'utf8' });
  const [torch = '', transformers = '', peft = ''] = versions.trim().split(' ');
  return { PyTorch: torch, transformers, PEFT: peft };
}

export const times = (value: number): string => `${value.toFixed(2)}×`;
export const percent = (share: number): string => `${Math.round(100 * share)} %`;
export const between = ({ lower, upper }: Quartiles, format: (value: number) => string): string =>
  `${format(lower)} – ${format(upper)}`;
export const milliseconds = (seconds: number): string => (seconds * 1000).toFixed(0);
const billions = (count: number): string => (count / 1e9).toFixed(0);
export const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(2);
