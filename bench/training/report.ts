import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import type { Side } from './lock-step.ts';
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

/** The sides of a lock-step; `Graft's` speed is held against each of the others step by step. */
export function compare(
  workload: { name: string; precision: Precision; tokens: number[] },
  sides: Side[],
): Comparison {
  const [first] = sides as [Side];
  const counted = (side: Side) => side.steps.slice(excludedSteps);
  const tokens = median(workload.tokens.slice(excludedSteps, first.steps.length));
  return {
    workload: workload.name,
    precision: workload.precision,
    tokens,
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

/** A row for each rival of Graft. */
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
      `${rival.speedup.median.toFixed(2)}×`,
      `${rival.speedup.lower.toFixed(2)} – ${rival.speedup.upper.toFixed(2)}`,
      gigabytes(graft.peakBytes),
      gigabytes(rival.peakBytes),
      `${(graft.peakBytes / rival.peakBytes).toFixed(2)}×`,
    ]);
  });
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
): string => `# ${title}\n\n${facts(machine)}\n\n${table(comparisons)}`;

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

const milliseconds = (seconds: number): string => (seconds * 1000).toFixed(0);
const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(2);
