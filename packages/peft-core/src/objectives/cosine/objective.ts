import type { Objective } from '../objective.ts';

/** Squared difference between the cosine of two texts and their score. */
export const cosine = {
  name: 'cosine',
  method: 'supervised',
  formats: ['scored_pairs'],
  examples: 'scored pairs',
  tasks: ['FEATURE_EXTRACTION'],
  options: {},
  promptColumns: { sentence1: [], sentence2: [] },
  refuses: { label_smoothing_factor: 'is of tokens and classes, and FEATURE_EXTRACTION has neither' },
  metrics: [
    {
      name: 'pearson',
      label: 'Pearson correlation',
      unit: 'number',
      better: 'higher',
      measured: ['evaluation'],
      measure: ({ wanted, predicted }) => correlation(wanted, predicted),
    },
    {
      name: 'spearman',
      label: 'Spearman correlation',
      unit: 'number',
      better: 'higher',
      measured: ['evaluation'],
      measure: ({ wanted, predicted }) => correlation(ranks(wanted), ranks(predicted)),
    },
  ],
  passes: ['policy'],
} as const satisfies Objective;

/** Pearson's r; 0 where it is undefined because all values of one side are equal. */
export function correlation(a: readonly number[], b: readonly number[]): number {
  const [x, y] = [centred(a), centred(b)];
  const product = (u: number[], v: number[]) => u.reduce((sum, value, i) => sum + value * v[i]!, 0);
  const spread = Math.sqrt(product(x, x) * product(y, y));
  return spread === 0 ? 0 : product(x, y) / spread;
}

function centred(values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value - mean);
}

/** The rank of each value, from 1. Equal values share the mean of their ranks. */
export function ranks(values: readonly number[]): number[] {
  const order = [...values.keys()].sort((i, j) => values[i]! - values[j]!);
  const places = new Array<number>(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let k = start; k < end; k++) places[order[k]!] = (start + 1 + end) / 2;
    start = end;
  }
  return places;
}
