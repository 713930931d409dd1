import type { Adapter, BaseModel } from './formats/index.ts';
import type { Architecture } from './models/architecture.ts';
import { architectureFor } from './models/registry.ts';
import { ownLabels, unnamedLabels, withLabels } from './outlines/label-names.ts';

/** The architecture of a base model as an adapter uses it: for its task, and with the classes of its head. */
export function adapterArchitecture(base: BaseModel, adapter: Adapter): Architecture {
  return architectureFor(base.modelType, adapterConfig(base, adapter), adapter.config.task_type);
}

/** config.json of the base model with the classes of the adapter's head, if it has one. */
export function adapterConfig(base: BaseModel, adapter: Adapter): Record<string, unknown> {
  const labels = adapter.labels ?? countedLabels(base, adapter);
  return labels ? withLabels(base.config, labels) : base.config;
}

/** Files by PEFT do not tell what the classes are called, but how many they are is the height of the head's last layer. */
function countedLabels(base: BaseModel, { tensors, config }: Adapter): string[] | null {
  const task = config.task_type;
  if (task !== 'SEQ_CLS' && task !== 'TOKEN_CLS') return null;
  const head = [...tensors].find(([key]) => /\b(score|classifier|classifier\.out_proj)\.weight$/.test(key));
  const own = ownLabels(base.config, task);
  const count = head?.[1].shape[0] ?? own?.length;
  if (count === undefined || own?.length === count) return own;
  return unnamedLabels(count);
}
