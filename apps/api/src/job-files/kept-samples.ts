import type { ResolvedTraining } from '@graft/peft-core/config';
import type { DataSample } from '@graft/peft-core/estimate';

/** Identifies everything that the sizes of a job's examples depend on. */
export interface SampleKey {
  sampleKey: string;
  training: ResolvedTraining;
}

/** Samples by key, in order of last use: similar jobs, such as those of a sweep, read and tokenise their files once. */
const samples = new Map<string, DataSample>();
const maxSamples = 16;

/** The sample that this thread has for such a job. */
export function keptSample({ sampleKey }: SampleKey): DataSample | null {
  return samples.get(sampleKey) ?? null;
}

export function keepSample({ sampleKey }: SampleKey, sample: DataSample): void {
  samples.delete(sampleKey);
  samples.set(sampleKey, sample);
  const [oldest] = samples.keys();
  if (samples.size > maxSamples) samples.delete(oldest!);
}
