import { totalmem } from 'node:os';
import type { TrainRecord, VerificationOptions } from '@graft/peft-core';
import { isQuantised } from '@graft/peft-core/config';
import { type QuantisedBase, writeServedLoss } from '@graft/peft-core/files';

/** The end of a run, with metrics on the base as served. `quantised`: set if the adapter was trained on a quantised base. */
export type FinishedRun = Extract<TrainRecord, { type: 'done' }> & { quantised?: QuantisedBase };

/**
 * Evaluates an adapter that was trained on a quantised base on the original base, where that fits in memory, and writes the validation
 * loss to the adapter's README.md. Other adapters, and those without validation data, are returned unchanged.
 */
export async function withServedFigures(
  done: Extract<TrainRecord, { type: 'done' }>,
  options: Omit<VerificationOptions, 'adapterDir'>,
  { measureServed }: Pick<typeof import('@graft/peft-core'), 'measureServed'>,
): Promise<FinishedRun> {
  const { base_dtype } = options.training;
  const { adapterDir, validationLoss: quantised_validation_loss } = done;
  if (!isQuantised(base_dtype) || quantised_validation_loss === null) return done;
  const served = await measureServed({ ...options, adapterDir }, { memoryBytes: memoryHere() });
  const quantised = { base_dtype, quantised_validation_loss, validation_loss: served?.loss ?? null };
  if (!served) return { ...done, quantised };
  const card = Number.isFinite(served.loss) ? await writeServedLoss(adapterDir, served.loss) : null;
  return {
    ...done,
    validationLoss: served.loss,
    metrics: served.metrics,
    files: done.files.map((file) => (file.path === card?.path ? card : file)),
    quantised,
  };
}

/** Bytes that this process may use: the memory of the machine or container without a tenth for the system. */
function memoryHere(): number {
  const limit = process.constrainedMemory();
  return 0.9 * Math.min(totalmem(), limit > 0 ? limit : Number.POSITIVE_INFINITY);
}
