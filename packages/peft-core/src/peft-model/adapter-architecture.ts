import type { Adapter, BaseModel, HostTensor } from '../files.ts';
import type { Architecture } from '../models/architecture.ts';
import { architectureFor } from '../models/registry.ts';
import { isClassifier } from '../outlines/index.ts';
import { ownLabels, unnamedLabels, withLabels } from '../outlines/label-names.ts';

/** The weight `(classes, width)` of the last layer of the classifier's head in an adapter's files; null without a head. */
export function headWeight({ tensors }: Pick<Adapter, 'tensors'>): HostTensor | null {
  const found = [...tensors].find(([key]) => /\b(score|classifier|classifier\.out_proj)\.weight$/.test(key));
  return found?.[1] ?? null;
}

/** The architecture of a base model as an adapter uses it: for the adapter's task and with the classes of its head. */
export function adapterArchitecture(base: BaseModel, adapter: Adapter): Architecture {
  const { task_type: task } = adapter.config;
  const architecture = architectureFor(base.modelType, adapterConfig(base, adapter), task);
  // PEFT trains a classifier's head only if task_type is set. Otherwise the base model's own head is unchanged.
  const untrained = adapter.common.task_type === null && !headWeight(adapter);
  return untrained ? { ...architecture, taskHead: [] } : architecture;
}

/** config.json of the base model with the classes of the adapter's head, if it has one. */
export function adapterConfig(base: BaseModel, adapter: Adapter): Record<string, unknown> {
  const labels = adapterLabels(base, adapter);
  return labels ? withLabels(base.config, labels) : base.config;
}

/** Class names of the adapter's head, in the order of its rows; null if it is not a classifier. */
export function adapterLabels(base: BaseModel, adapter: Adapter): string[] | null {
  return adapter.labels ?? countedLabels(base, adapter);
}

/** PEFT's files do not name the classes. Their number is the number of rows of the head's last layer. */
function countedLabels(base: BaseModel, adapter: Adapter): string[] | null {
  const task = adapter.config.task_type;
  if (!isClassifier(task)) return null;
  const head = headWeight(adapter);
  const own = ownLabels(base.config, task);
  const count = head?.shape[0] ?? own?.length;
  if (count === undefined || own?.length === count) return own;
  return unnamedLabels(count);
}
