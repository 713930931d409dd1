import { isClassifier, type TaskType } from '../../outlines/index.ts';
import type { Objective } from './objective.ts';

/** What is told of a model beside its loss, by the names of the wire: shares and correlations, and perplexity. */
export type Metrics = Record<string, number>;

/** `wanted` and `predicted` are classes, or cosines, of all that was measured. */
export function metricsOf(measured: {
  objective: Objective;
  task: TaskType;
  loss: number;
  tokenAccuracy: number | null;
  wanted: number[];
  predicted: number[];
}): Metrics {
  const { objective, task, loss, tokenAccuracy, wanted, predicted } = measured;
  if (objective === 'cosine')
    return {
      pearson: correlation(wanted, predicted),
      spearman: correlation(ranks(wanted), ranks(predicted)),
    };
  const accuracy = tokenAccuracy!;
  if (objective === 'contrastive') return { accuracy };
  if (isClassifier(task)) return { accuracy, macro_f1: macroF1(wanted, predicted) };
  return { token_accuracy: accuracy, perplexity: Math.exp(loss) };
}

/** The mean over classes, wanted or predicted, of each one's F1: 2 · hits / (wanted + predicted). Source: scikit-learn, f1_score. */
export function macroF1(wanted: number[], predicted: number[]): number {
  const counts = new Map<number, { hits: number; all: number }>();
  const add = (label: number, hits: number, all: number) => {
    const count = counts.get(label) ?? { hits: 0, all: 0 };
    counts.set(label, { hits: count.hits + hits, all: count.all + all });
  };
  for (const [i, label] of wanted.entries()) {
    add(label, label === predicted[i] ? 1 : 0, 1);
    add(predicted[i]!, 0, 1);
  }
  const f1 = [...counts.values()].map(({ hits, all }) => (2 * hits) / all);
  return f1.reduce((sum, value) => sum + value, 0) / f1.length;
}

/** Pearson's r; 0 when either side has one value only, where it is not defined. */
export function correlation(a: number[], b: number[]): number {
  const [x, y] = [centred(a), centred(b)];
  const product = (u: number[], v: number[]) => u.reduce((sum, value, i) => sum + value * v[i]!, 0);
  const spread = Math.sqrt(product(x, x) * product(y, y));
  return spread === 0 ? 0 : product(x, y) / spread;
}

function centred(values: number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.map((value) => value - mean);
}

/** Places of the values in order, from 1; equal ones share the mean of theirs. */
export function ranks(values: number[]): number[] {
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
