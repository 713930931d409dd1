import type { Adapter, BaseModel } from './formats/index.ts';
import type { Architecture } from './models/architecture.ts';
import { architectureFor } from './models/registry.ts';
import { withLabels } from './outlines/label-names.ts';

/** The architecture of a base model as an adapter uses it: for its task, and with as many classes as its head has. */
export function adapterArchitecture(base: BaseModel, adapter: Adapter): Architecture {
  return architectureFor(base.modelType, adapterConfig(base, adapter), adapter.config.task_type);
}

/** config.json of the base model with the adapter's classes. */
export function adapterConfig(base: BaseModel, { tensors, labels }: Adapter): Record<string, unknown> {
  if (labels) return withLabels(base.config, labels);
  // Written by PEFT: what the classes are called is not told, but how many there are is the height of the head's last layer.
  for (const [key, { shape }] of tensors)
    if (/\b(score|classifier|classifier\.out_proj)\.weight$/.test(key))
      return { ...base.config, num_labels: shape[0]! };
  return base.config;
}
