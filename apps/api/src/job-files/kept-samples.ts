import type { ResolvedTraining } from '@graft/peft-core/config';
import type { DataSample } from '@graft/peft-core/estimate';

/** Names all that the sizes of a job's examples depend on. */
export interface SampleKey {
  sampleKey: string;
  training: ResolvedTraining;
}

/** By key, the one that was asked for last at the end: of jobs that are alike, as those of a sweep, one reads and tokenises. */
const samples = new Map<string, DataSample>();
const mostSamples = 16;

/** What this thread has of such a job. */
export function keptSample({ sampleKey }: SampleKey): DataSample | null {
  return samples.get(sampleKey) ?? null;
}

export function keepSample({ sampleKey }: SampleKey, sample: DataSample): void {
  samples.delete(sampleKey);
  samples.set(sampleKey, sample);
  const [oldest] = samples.keys();
  if (samples.size > mostSamples) samples.delete(oldest!);
}
