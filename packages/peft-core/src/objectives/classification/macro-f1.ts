/** Mean F1 over all classes that are wanted or predicted; F1 = 2 · hits / (wanted + predicted). Source: scikit-learn, f1_score. */
export function macroF1(wanted: readonly number[], predicted: readonly number[]): number {
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
