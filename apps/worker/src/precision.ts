import { effectivePrecision, environmentFor } from '@graft/peft-core/precision';
import type { Device } from './devices.ts';

export type Precision = 'fp32' | 'bf16';

/**
 * The precision of matrix products that "auto" means on this device: bf16 on a GPU and on a CPU that has the
 * instructions, fp32 elsewhere. Master values are fp32 in both.
 */
export function resolvePrecision(precision: 'auto' | Precision, device: Device): Precision {
  if (precision === 'auto' && device.kind === 'gpu') return 'bf16';
  return effectivePrecision(precision, environmentFor(precision));
}
