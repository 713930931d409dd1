import { defaultTask } from './model-class.ts';
import { isClassifier, type TaskType } from './outline.ts';

/** The config.json of a model whose classifier has these classes, in order. */
export function withLabels(
  config: Record<string, unknown>,
  names: readonly string[],
): Record<string, unknown> {
  return {
    ...config,
    num_labels: names.length,
    id2label: Object.fromEntries(names.map((name, i) => [i, name])),
    label2id: Object.fromEntries(names.map((name, i) => [name, i])),
  };
}

/** The classes of the base model's own classifier for `task`; null if it has none. */
export function ownLabels(config: Record<string, unknown>, task: TaskType): string[] | null {
  if (defaultTask(config) !== task || !isClassifier(task)) return null;
  const named = config.id2label;
  if (typeof named === 'object' && named !== null) {
    const entries = Object.entries(named).sort(([a], [b]) => Number(a) - Number(b));
    return entries.map(([, name]) => String(name));
  }
  return unnamedLabels(typeof config.num_labels === 'number' ? config.num_labels : 2);
}

/** transformers' names for unnamed classes. */
export function unnamedLabels(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `LABEL_${i}`);
}
