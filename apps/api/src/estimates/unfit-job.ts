import type { FittingChange } from '@graft/peft-core/estimate';
import type { JobError, JobEstimate } from '@graft/service/jobs';

/** The error for a job that exceeds the memory of every live worker. Null if a worker has enough or does not report its memory. */
export function unfitJob({ fits, peakMemoryBytes, memoryBytes, changes }: JobEstimate): JobError | null {
  if (fits !== false) return null;
  const ways = changes.map(inWords).join(', or ');
  const help = ways
    ? `it would fit with ${ways}`
    : 'no training option would make it fit: take a smaller base model, or shorter examples';
  return {
    code: 'insufficient_memory',
    message: `Training needs ${inBytes(peakMemoryBytes, Math.ceil)} of memory, the largest worker has ${inBytes(memoryBytes ?? 0, Math.floor)}; ${help}.`,
    param: `training.${Object.keys(changes[0]?.training ?? {})[0] ?? 'batch_size'}`,
    fault: 'user',
  };
}

/** `training.batch_size 2 and gradient_accumulation_steps 4`. */
function inWords({ training }: FittingChange, place: number): string {
  const options = Object.entries(training).map(([name, value]) =>
    name === 'max_seq_length' ? `${name} ${value} (cut longer examples)` : `${name} ${value}`,
  );
  return (place === 0 ? 'training.' : '') + options.join(' and ');
}

/** Rounds so that the memory required never appears to fit when it does not. */
function inBytes(bytes: number, round: (value: number) => number): string {
  return bytes < 1e9 ? `${round(bytes / 1e6)} MB` : `${(round(bytes / 1e8) / 10).toFixed(1)} GB`;
}
