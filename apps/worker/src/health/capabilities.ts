import { threadCount } from '@graft/peft-core/precision';
import type { WorkerCapabilities } from '@graft/service';
import { type Device, type Precision, resolvePrecision } from '../devices.ts';
import { Unfit } from '../faults/unfit.ts';

/**
 * What jobs may require of this worker, whose trainers have these devices, all of one kind. Each computes in either precision; `precisions` are the operator's, where set, and the
 * first is what "auto" comes to. `threads` is what a job that is first run here has from then on, so several machines that are
 * to take over from one another agree on it.
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
    ...{
      device: device.kind,
      threads: threads ?? threadCount(),
      precisions: [first, ...others],
      sweeps: true,
      confinement: [...confinement],
    },
    ...(gpus.length > 0 && { gpus }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
  };
}

/**
 * What jobs may be made of here, given what the trainers found, best first: what the operator wants (GRAFT_KERNELS) comes first,
 * and is what jobs that are first run here take. Throws `Unfit` where that set is not there. On a GPU a processor's set is passed over,
 * since all workers of an installation may be set alike.
 */
export function kernelsOf(
  device: WorkerCapabilities['device'],
  wanted: string,
  sets: readonly string[],
): string[] {
  if (wanted === 'auto' || (device === 'gpu' && !sets.includes(wanted))) return [...sets];
  if (!sets.includes(wanted)) {
    throw new Unfit(
      'it lacks the kernels that it was set to use',
      `GRAFT_KERNELS names ${wanted}, and this machine has ${sets.join(', ')}.`,
    );
  }
  return [wanted, ...sets.filter((set) => set !== wanted)];
}
