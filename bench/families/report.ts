import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { defaultPeft, parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { estimateTraining } from '@graft/peft-core/estimate';
import { gigabytes } from '../../scripts/measuring/report.ts';
import { plainTable } from '../../scripts/methods/markdown-table.ts';
import { published } from './models.ts';

/** Measurements of a family's model and of the reference beside it. */
export interface FamilyFigures {
  family: string;
  /** Length of a step's only example. */
  tokens: number;
  precision: 'fp32' | 'bf16';
  /** Steps of both that were compared. */
  pairs: number;
  /** Medians of both, and of the ratios of pairs: of elapsed time, and of the time of all threads. */
  seconds: number;
  referenceSeconds: number;
  ratio: number;
  cpuRatio: number;
  peakBytes: number;
}

const file = path.join(import.meta.dirname, 'results.json');

export const readFigures = (): FamilyFigures[] =>
  existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];

/** Keeps figures instead of former ones of the same family, in the order of families. */
export function keepFigures(figures: FamilyFigures): void {
  const place = ({ family }: FamilyFigures) => [...published.keys()].indexOf(family);
  const others = readFigures().filter(({ family }) => family !== figures.family);
  const all = [...others, figures].sort((a, b) => place(a) - place(b));
  writeFileSync(file, `${JSON.stringify(all, null, 2)}\n`);
}

/** A line for each family. Memory is estimated by today's formula. */
export function familiesTable(all: readonly FamilyFigures[]): string {
  const header = ['`model_type`', 'tokens', 'step', 'llama', 'ratio', 'by CPU time'];
  const lines = all.map((figures) => {
    const { family, tokens, seconds, referenceSeconds, ratio, cpuRatio, peakBytes } = figures;
    const estimated = estimatedBytes(published.get(family)!, figures);
    const steps = [seconds, referenceSeconds].map((value) => `${value.toFixed(1)} s`);
    const memory = [peakBytes, estimated].map((bytes) => `${gigabytes(bytes)} GB`);
    const ratios = [ratio, cpuRatio].map((value) => value.toFixed(2));
    return [`\`${family}\``, tokens, ...steps, ...ratios, ...memory, (estimated / peakBytes).toFixed(2)];
  });
  return plainTable([...header, 'peak memory', 'estimated', 'ratio'], lines);
}

/** Training on `count` texts of `tokens` tokens, one a step. */
export const trainingOf = (
  { tokens, precision }: Pick<FamilyFigures, 'tokens' | 'precision'>,
  count: number,
) => {
  const peft = parsePeftConfig(defaultPeft);
  const options = { precision, batch_size: 1, max_steps: count + 1, max_seq_length: tokens };
  return { peft, training: resolveTraining({ peft, training: options, exampleCount: count }) };
};

/** The estimate of a job of one example. */
function estimatedBytes(modelConfig: Record<string, unknown>, figures: FamilyFigures): number {
  const { tokens, precision } = figures;
  const one = { widths: [tokens - 1], inputWidth: 0, labels: tokens - 1, tokens };
  const sample = { examples: 1, sizes: [one] };
  const data = { format: 'text', labels: null, training: sample, validation: null } as const;
  const machine = { device: 'cpu', kernels: true, precision, threads: 2, flops: null } as const;
  return estimateTraining({ modelConfig, ...trainingOf(figures, 1), data }, machine).peakMemoryBytes;
}
