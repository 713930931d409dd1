import { isClassifier, type TaskType } from '../../outlines/index.ts';
import type { Objective } from './objective.ts';

/** Measures of a model besides its loss, by their names on the wire: shares, correlations, perplexity. */
export type Metrics = Record<string, number>;

/**
 * `wanted` and `predicted`: the class, or the cosine, of everything that was measured; of texts that may have several classes 1 or 0 for
 * each class of each text.
 */
export function metricsOf(measured: {
  objective: Objective;
  task: TaskType;
  loss: number;
  tokenAccuracy: number | null;
  wanted: number[];
  predicted: number[];
  /** Of pairs that were ranked in a pool: the share whose positive is among the ten nearest, and the mean of 1 / rank. */
  ranks?: { amongTen: number; reciprocal: number };
}): Metrics {
  const { objective, task, loss, tokenAccuracy, wanted, predicted, ranks: found } = measured;
  if (objective === 'cosine')
    return {
      pearson: correlation(wanted, predicted),
      spearman: correlation(ranks(wanted), ranks(predicted)),
    };
  const accuracy = tokenAccuracy!;
  if (objective === 'contrastive') {
    if (!found) return { accuracy };
    return { accuracy, recall_at_1: accuracy, recall_at_10: found.amongTen, mrr: found.reciprocal };
  }
  if (typeof objective === 'object') return { accuracy, ...f1OfSets(wanted, predicted, objective.classes) };
  if (isClassifier(task)) return { accuracy, macro_f1: macroF1(wanted, predicted) };
  return { token_accuracy: accuracy, perplexity: Math.exp(loss) };
}

/** Mean F1 of all classes that were wanted or predicted; F1 = 2 · hits / (wanted + predicted). Source: scikit-learn, f1_score. */
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

/**
 * F1 of all classes together, and the mean of each class's own, 0 where it was neither wanted nor predicted. Source: scikit-learn,
 * f1_score of multi-label indicators (average "micro" and "macro", zero_division 0).
 */
export function f1OfSets(
  wanted: number[],
  predicted: number[],
  classes: number,
): { micro_f1: number; macro_f1: number } {
  const hits = new Array<number>(classes).fill(0);
  const all = new Array<number>(classes).fill(0);
  for (const [i, value] of wanted.entries()) {
    hits[i % classes]! += value * predicted[i]!;
    all[i % classes]! += value + predicted[i]!;
  }
  const total = (values: number[]) => values.reduce((sum, value) => sum + value, 0);
  const f1 = (hits: number, all: number) => (all === 0 ? 0 : (2 * hits) / all);
  return {
    micro_f1: f1(total(hits), total(all)),
    macro_f1: total(hits.map((each, k) => f1(each, all[k]!))) / classes,
  };
}

/** Pearson's r; 0 where it is not defined, since all values of a side are equal. */
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

/** The rank of each value, from 1. Equal values share the mean of their ranks. */
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
