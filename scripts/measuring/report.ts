/** Parts of the reports of benchmarks: statistics, tables, the machine, the figures of sides that took steps in turn. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import type { Side, Step } from './processes.ts';

export type Quartiles = { lower: number; median: number; upper: number };

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

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The value that `share` of them do not exceed. */
export function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(share * values.length) - 1] ?? 0;
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

/** The machine on which the figures were measured; without `python` nothing of its libraries. */
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

/** Writes NAME.md and, of what was measured, NAME.json to a folder. Returns where, for people. */
export function writeReport(folder: string, name: string, text: string, figures?: object): string {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, `${name}.md`), text);
  if (figures) writeFileSync(path.join(folder, `${name}.json`), `${JSON.stringify(figures, null, 2)}\n`);
  return `written to ${folder}/${name}.md${figures ? ` and ${name}.json` : ''}`;
}

export const times = (value: number): string => `${value.toFixed(2)}×`;
export const percent = (share: number): string => `${Math.round(100 * share)} %`;
export const between = ({ lower, upper }: Quartiles, format: (value: number) => string): string =>
  `${format(lower)} – ${format(upper)}`;
export const milliseconds = (seconds: number): string => (seconds * 1000).toFixed(0);
export const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(2);

/** The steps of a side in lock-step. `tokens`: of each step; left out where those of all sides are the same. */
export interface Stepped extends Pick<Side, 'name' | 'steps'> {
  firstStepAfter?: number;
  tokens?: number[];
  /** A pass over all data before the first step. */
  reference?: Step;
}

export interface SideFigures<Name extends string = string> {
  name: Name;
  /** Median. */
  seconds: number;
  tokensPerSecond: number;
  /** Peak of the process's resident memory. */
  peakBytes: number;
  residentBytes: number;
  /** From the process's start. */
  firstStepAfter: number;
  firstLoss: number;
  lastLoss: number;
  /** How many times the first side's speed is this one's: of the pairs of steps, by time per token. 1 for the first side. */
  speedup: Quartiles;
}

/** One workload's steps, all sides'. */
export interface Comparison<Figures = SideFigures> {
  workload: string;
  precision: 'fp32' | 'bf16';
  /** Useful tokens of a step (no padding): median. */
  tokens: number;
  sides: Figures[];
}

/** How many times the first side's time per token is a side's, over pairs of steps. The first `excluded` are not counted. */
export function ratios(
  [first, side]: [Stepped, Stepped],
  excluded: number,
  of: 'seconds' | 'cpu' = 'seconds',
  withReference = false,
): Quartiles {
  const costs = ({ steps, tokens, reference }: Stepped) => {
    // The reference pass is spread over the tokens of all steps.
    const share = withReference ? reference![of]! / sum(tokens!) : 0;
    return steps.map((step, i) => step[of]! / (tokens?.[i] ?? 1) + share).slice(excluded);
  };
  const [base, own] = [costs(first), costs(side)];
  return quartiles(own.map((cost, i) => cost / base[i]!));
}

/** Figures of a side beside the first one. `tokens`: median of a step's. */
export function figuresOf<Name extends string>(
  [first, side]: [Stepped, Stepped],
  tokens: number,
  excluded: number,
): SideFigures<Name> {
  const { steps, firstStepAfter = Number.NaN } = side;
  const seconds = median(steps.slice(excluded).map((step) => step.seconds));
  const last = steps.at(-1)!;
  return {
    name: side.name as Name,
    seconds,
    tokensPerSecond: tokens / seconds,
    peakBytes: last.peak,
    residentBytes: last.resident,
    firstStepAfter,
    firstLoss: steps[0]!.loss,
    lastLoss: last.loss,
    speedup: ratios([first, side], excluded),
  };
}

/** The first side, Graft's, beside each rival. `data`: the first column's name; `more` columns stand before those of memory. */
export function rivalsTable<Figures extends SideFigures>(
  comparisons: readonly Comparison<Figures>[],
  data = 'data',
  more: { header: string[]; cells(graft: Figures, rival: Figures): string[] } = {
    header: [],
    cells: () => [],
  },
): string {
  const header = [data, 'precision', 'tokens', 'against', 'Graft ms', 'its ms', 'speed', 'quartiles'];
  header.push(...more.header, 'Graft GB', 'its GB', 'memory');
  const rows = comparisons.flatMap(({ workload, precision, tokens, sides }) => {
    const [graft, ...rivals] = sides as [Figures, ...Figures[]];
    return rivals.map((rival) => [
      workload,
      precision,
      tokens.toFixed(0),
      rival.name,
      milliseconds(graft.seconds),
      milliseconds(rival.seconds),
      times(rival.speedup.median),
      between(rival.speedup, times),
      ...more.cells(graft, rival),
      gigabytes(graft.peakBytes),
      gigabytes(rival.peakBytes),
      times(graft.peakBytes / rival.peakBytes),
    ]);
  });
  return markdownTable(header, rows);
}
