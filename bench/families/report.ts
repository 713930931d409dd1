import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { defaultPeft, parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { estimateTraining } from '@graft/peft-core/estimate';
import { gigabytes } from '../../scripts/measuring/report.ts';
import { plainTable } from '../../scripts/methods/markdown-table.ts';
import { published } from './models.ts';

/** What was measured of a family's model and of the reference beside it. */
export interface FamilyFigures {
  family: string;
  /** Of a step's only example. */
  tokens: number;
  precision: 'fp32' | 'bf16';
  /** Steps of both that were compared. */
  pairs: number;
  /** Medians of both, and of the ratios of pairs: of elapsed time, and of the time of all threads. */
  seconds: number;
  referenceSeconds: number;
  ratio: number;
  cpuRatio: number;
  /** Peak memory of the family's process. */
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
  const header = [
    '`model_type`',
    'tokens',
    'step',
    'llama',
    'ratio',
    'by CPU time',
    'peak memory',
    'estimated',
    'ratio',
  ];
  return plainTable(
    header,
    all.map((figures) => {
      const { family, tokens, precision, seconds, referenceSeconds, ratio, cpuRatio, peakBytes } = figures;
      const estimated = estimatedBytes(published.get(family)!, tokens, precision);
      return [
        `\`${family}\``,
        `${tokens}`,
        `${seconds.toFixed(1)} s`,
        `${referenceSeconds.toFixed(1)} s`,
        ratio.toFixed(2),
        cpuRatio.toFixed(2),
        `${gigabytes(peakBytes)} GB`,
        `${gigabytes(estimated)} GB`,
        (estimated / peakBytes).toFixed(2),
      ];
    }),
  );
}

/** The estimate of a job of one example. */
function estimatedBytes(
  modelConfig: Record<string, unknown>,
  tokens: number,
  precision: 'fp32' | 'bf16',
): number {
  const peft = parsePeftConfig(defaultPeft);
  const training = resolveTraining({
    peft,
    training: { precision, batch_size: 1, max_steps: 1, max_seq_length: tokens },
    exampleCount: 1,
  });
  const one = { widths: [tokens - 1], inputWidth: 0, labels: tokens - 1, tokens };
  const sample = { examples: 1, sizes: [one] };
  const data = { format: 'text', labels: null, training: sample, validation: null } as const;
  const machine = { device: 'cpu', kernels: true, precision, threads: 2, flops: null } as const;
  return estimateTraining({ modelConfig, peft, training, data }, machine).peakMemoryBytes;
}
