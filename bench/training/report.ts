import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import type { Precision } from './sides.ts';
import type { WorkloadName } from './workloads.ts';

/** One process's figures. */
export type Measurement = {
  workload: WorkloadName;
  precision: Precision;
  side: 'graft' | 'peft';
  round: number;
  /** Useful tokens (no padding) a second, over all steps after the first two. */
  tokensPerSecond: number;
  maxRssBytes: number;
  finalLoss: number;
};

export type Comparison = {
  workload: WorkloadName;
  precision: Precision;
  graft: { tokensPerSecond: number; maxRssBytes: number };
  peft: { tokensPerSecond: number; maxRssBytes: number };
  /** Median over rounds of Graft's figure by PyTorch + HF PEFT's in the same round. */
  speedRatio: number;
  memoryRatio: number;
  target: { speed: number; memory: number };
};

const speedTargets: Record<WorkloadName, number> = { synthetic: 0.9, demo: 1.25 };
const memoryTargets: Record<Precision, number> = { fp32: 0.8, bf16: 1.0 };

/** Pairs the sides round by round; a workload that was measured on one side only is left out. */
export function compare(measurements: Measurement[]): Comparison[] {
  const groups = new Map<string, Measurement[]>();
  for (const one of measurements) {
    const key = `${one.workload} ${one.precision}`;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()].flatMap((group) => {
    const { workload, precision } = group[0]!;
    const graft = group.filter((one) => one.side === 'graft');
    const peft = group.filter((one) => one.side === 'peft');
    const pairs = graft.flatMap((a) => peft.filter((b) => b.round === a.round).map((b) => [a, b] as const));
    if (pairs.length === 0) return [];
    return {
      workload,
      precision,
      graft: medians(graft),
      peft: medians(peft),
      speedRatio: median(pairs.map(([a, b]) => a.tokensPerSecond / b.tokensPerSecond)),
      memoryRatio: median(pairs.map(([a, b]) => a.maxRssBytes / b.maxRssBytes)),
      target: { speed: speedTargets[workload], memory: memoryTargets[precision] },
    };
  });
}

export function markdown(comparisons: Comparison[], machine: Record<string, string>, title: string): string {
  const rows = comparisons.map((one) => [
    one.workload,
    one.precision,
    one.graft.tokensPerSecond.toFixed(0),
    one.peft.tokensPerSecond.toFixed(0),
    judged(one.speedRatio, one.speedRatio >= one.target.speed, `≥ ${one.target.speed.toFixed(2)}`),
    gigabytes(one.graft.maxRssBytes),
    gigabytes(one.peft.maxRssBytes),
    judged(one.memoryRatio, one.memoryRatio <= one.target.memory, `≤ ${one.target.memory.toFixed(2)}`),
  ]);
  const header = [
    'data',
    'precision',
    'Graft tokens/s',
    'PEFT tokens/s',
    'speed ratio',
    'Graft GB',
    'PEFT GB',
    'memory ratio',
  ];
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  const facts = Object.entries(machine).map(([name, value]) => `${name} ${value}`);
  return [
    `# ${title}`,
    '',
    facts.join(' · '),
    '',
    line(header),
    line(widths.map((width) => '-'.repeat(width))),
    ...rows.map(line),
    '',
  ].join('\n');
}

/** What the figures were measured on. */
export function describeMachine(python: string): Record<string, string> {
  const versions = execFileSync(
    python,
    [
      '-c',
      'import torch, transformers, peft; print(torch.__version__, transformers.__version__, peft.__version__)',
    ],
    { encoding: 'utf8' },
  );
  const [torch = '', transformers = '', peft = ''] = versions.trim().split(' ');
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: String(cpus().length),
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    Node: process.version,
    PyTorch: torch,
    transformers,
    PEFT: peft,
  };
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function medians(side: Measurement[]) {
  return {
    tokensPerSecond: median(side.map((one) => one.tokensPerSecond)),
    maxRssBytes: median(side.map((one) => one.maxRssBytes)),
  };
}

function judged(ratio: number, reached: boolean, target: string): string {
  return `${ratio.toFixed(2)}× ${reached ? '✔' : '✖'} (${target})`;
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(2);
}
