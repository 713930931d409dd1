import { threadCount } from '@graft/peft-core/precision';
import type { WorkerCapabilities } from '@graft/service/jobs';
import { type Device, type Precision, resolvePrecision } from '../devices.ts';
import { UnhealthyReason } from '../faults/unfit.ts';

/**
 * The capabilities that jobs may require of this worker. All its trainer devices are of one kind and support both precisions;
 * `precisions` restricts them to the operator's list, whose first entry is used for "auto". `threads` is recorded in jobs that start
 * here, so machines that may take over each other's jobs must agree on it.
 */
export function capabilitiesOf(
  devices: readonly Device[],
  {
    precisions,
    threads,
    memoryBytes,
    confinement,
  }: {
    precisions: Precision[] | undefined;
    threads: number | undefined;
    memoryBytes: number | undefined;
    confinement: readonly string[];
  },
): WorkerCapabilities {
  const device = devices[0]!;
  const gpus = [...new Set(devices.flatMap((each) => (each.kind === 'gpu' ? [each.name] : [])))];
  const auto = resolvePrecision('auto', device);
  const [first = auto, ...others] = precisions ?? [auto, auto === 'bf16' ? 'fp32' : 'bf16'];
  return {
    device: device.kind,
    threads: threads ?? threadCount(),
    precisions: [first, ...others],
    sweeps: true,
    confinement: [...confinement],
    ...(gpus.length > 0 && { gpus }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

/**
 * The kernel sets that jobs may use here, of those that the trainers found (`sets`, best first). The operator's choice (GRAFT_KERNELS)
 * comes first, and jobs that start here use the first. Throws `UnhealthyReason` where the chosen set is missing. On a GPU a CPU set is ignored,
 * because all workers of an installation may have the same settings.
 */
export function kernelsOf(
  device: WorkerCapabilities['device'],
  wanted: string,
  sets: readonly string[],
): string[] {
  if (wanted === 'auto' || (device === 'gpu' && !sets.includes(wanted))) return [...sets];
  if (!sets.includes(wanted)) {
    throw new UnhealthyReason(
      'it lacks the kernels that it was set to use',
      `GRAFT_KERNELS names ${wanted}, and this machine has ${sets.join(', ')}.`,
    );
  }
  return [wanted, ...sets.filter((set) => set !== wanted)];
}
