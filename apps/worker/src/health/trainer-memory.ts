import { totalmem } from 'node:os';
import { memoryLimit } from '@graft/service/environment';
import type { CardShares } from '../cards/share-card.ts';
import type { Device } from '../devices.ts';

const GiB = 2 ** 30;

/**
 * Bytes that any trainer of this worker may use. With GPUs: the memory of the smallest one without the CUDA context and a generator
 * on the same card. On a CPU, which has one trainer: the memory of the machine or container without a reserve. Undefined where
 * the size is unknown, as for a GPU that does not report it, or where there is no trainer.
 */
export function trainerMemory(
  trainers: readonly Device[],
  shares: Pick<CardShares, 'trainer'>,
): number | undefined {
  if (trainers.length === 0) return undefined;
  const sizes = trainers.map((device) =>
    device.kind === 'gpu'
      ? (shares.trainer(device) ?? 0)
      : withoutReserve(Math.min(totalmem(), memoryLimit())),
  );
  return Math.min(...sizes) || undefined;
}

/**
 * Subtracts the reserve for other processes: the worker itself, the system, and on a single machine the API and Postgres, together
 * about 1 GiB. A small container has few of them, so the reserve is at most a tenth. A generator is not counted: it holds a base
 * model only while completions are requested.
 */
export function withoutReserve(bytes: number): number {
  return Math.round(bytes - Math.min(GiB, bytes / 10));
}
