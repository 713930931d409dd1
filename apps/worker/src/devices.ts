import { effectivePrecision, environmentFor } from '@graft/peft-core/precision';

export type Device =
  | { kind: 'cpu' }
  | {
      kind: 'gpu';
      /** Value for CUDA_VISIBLE_DEVICES. Unlike the index, it survives reboots and hidden cards. */
      uuid: string;
      index: number;
      /** GPU model, for a MIG device with its profile. Results depend on it. */
      name: string;
      memoryMib: number;
      /** For a MIG device: the UUID of its card. */
      parent?: string;
      /** For a MIG device: its index among the MIG devices of the card. */
      migIndex?: number;
    };

/** Precision of matrix products. Master weights are fp32 in both cases. */
export type Precision = 'fp32' | 'bf16';

/**
 * Plans one trainer slot per device, at most `cap`. The generator gets a GPU without a trainer where the cap leaves one, and
 * otherwise shares the last device with its trainer.
 */
export function planSlots(devices: Device[], cap?: number): { trainers: Device[]; generator: Device } {
  const trainers = devices.slice(0, cap ?? devices.length);
  return { trainers, generator: devices.at(-1) ?? { kind: 'cpu' } };
}

/** Resolves "auto": bf16 on a GPU and on a CPU with bf16 instructions, otherwise fp32. */
export function resolvePrecision(precision: 'auto' | Precision, device: Device): Precision {
  if (precision === 'auto' && device.kind === 'gpu') return 'bf16';
  return effectivePrecision(precision, environmentFor(precision));
}
