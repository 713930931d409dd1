import type { AdapterVersion, Wire } from '@graft/client';
import { metricFormats } from '../text/metric-formats.ts';
import { bytes, compact, count, measure } from '../text/numbers.ts';

/** Losses of the trained model, of its files loaded in a new process, and of the base model. */
export interface Proof {
  live_loss: number;
  reloaded_loss: number;
  base_loss: number;
  /** For an adapter trained on a quantized base: the loss on the base as served, to which `base_loss` then refers too. */
  served_loss?: number;
  examples: number;
  measured_on: 'validation' | 'training';
}

export interface VersionMetrics {
  steps?: number;
  final_loss?: number | null;
  validation_loss?: number | null;
  /** Values of the objective's metrics on the validation examples, by their names. */
  validation?: Record<string, number>;
  peak_memory_bytes?: number | null;
  parameters?: { trainable: number; total: number };
  proof?: Proof | null;
}

export const metricsOfVersion = ({ metrics }: Pick<AdapterVersion, 'metrics'>): VersionMetrics =>
  metrics ?? {};

/** Objectives of training, which describe their metrics; undefined while they are loading. */
export type Objectives = Wire.FineTuningOptions['objectives'] | undefined;

/** A value of `metrics` of an adapter version: its label, and how it is written. */
export interface VersionMetric {
  label: string;
  format: (value: number) => string;
}

const fixed: Record<string, VersionMetric> = {
  steps: { label: 'Steps', format: count },
  final_loss: { label: 'Training loss at the end', format: measure },
  validation_loss: { label: 'Validation loss', format: measure },
  quantised_validation_loss: { label: 'Validation loss on the quantized base', format: measure },
  peak_memory_bytes: { label: 'Peak memory', format: bytes },
  'parameters.trainable': { label: 'Trainable parameters', format: compact },
  'parameters.total': { label: 'All parameters', format: compact },
  'proof.base_loss': { label: 'Loss of the base model', format: measure },
  'proof.live_loss': { label: 'Loss after training', format: measure },
  'proof.reloaded_loss': { label: 'Loss of the files, loaded again', format: measure },
  'proof.served_loss': { label: 'Loss on the base model as served', format: measure },
  'proof.examples': { label: 'Examples of this check', format: count },
};

/** The label and unit of a metric by its dotted path. Those of objectives are described by the options of jobs. */
export function describeVersionMetric(path: string, objectives: Objectives = []): VersionMetric {
  const known = fixed[path];
  if (known) return known;
  const [, base, name] = /^(quantised_)?validation\.(.+)$/.exec(path) ?? [];
  const metric = objectives.flatMap(({ metrics }) => metrics).find((each) => each.name === name);
  return {
    label: `${metric?.label ?? path}${metric && base ? ' on the quantized base' : ''}`,
    format: metric ? metricFormats[metric.unit] : measure,
  };
}
