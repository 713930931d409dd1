import { effectivePrecision, environmentFor } from '@graft/peft-core/precision';

/** What a child process computes on. */
export type Device =
  | { kind: 'cpu' }
  | {
      kind: 'gpu';
      /** What CUDA_VISIBLE_DEVICES takes; unlike the index it survives a reboot and a hidden neighbour. */
      uuid: string;
      index: number;
      /** Its model, which numbers depend on: of a MIG device with its profile. */
      name: string;
      memoryMib: number;
      /** Of a MIG device: the UUID of its card. */
      parent?: string;
      /** Of a MIG device: which of its card's it is. */
      migIndex?: number;
    };

/** The precision of matrix products. Master values are fp32 in both. */
export type Precision = 'fp32' | 'bf16';

/**
 * One trainer slot per device, at most `cap`. The generator gets a GPU that no trainer uses where the cap leaves one,
 * and otherwise shares the last device with its trainer.
 */
export function planSlots(devices: Device[], cap?: number): { trainers: Device[]; generator: Device } {
  const trainers = devices.slice(0, cap ?? devices.length);
  return { trainers, generator: devices.at(-1) ?? { kind: 'cpu' } };
}

/** The precision that "auto" means on this device: bf16 on a GPU and on a CPU that has the instructions, fp32 elsewhere. */
export function resolvePrecision(precision: 'auto' | Precision, device: Device): Precision {
  if (precision === 'auto' && device.kind === 'gpu') return 'bf16';
  return effectivePrecision(precision, environmentFor(precision));
}
