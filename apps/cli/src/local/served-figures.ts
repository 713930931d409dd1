import { totalmem } from 'node:os';
import type { TrainRecord, VerificationOptions } from '@graft/peft-core';
import { isQuantised } from '@graft/peft-core/config';
import { type QuantisedBase, writeServedLoss } from '@graft/peft-core/files';

/** The end of a run, with figures of the base as the adapter is used on it; `quantised` of one that was trained on another. */
export type FinishedRun = Extract<TrainRecord, { type: 'done' }> & { quantised?: QuantisedBase };

/**
 * Measures an adapter that was trained on a quantised base on the original one, where that fits this machine, and writes its validation loss
 * into the adapter's README.md. Others, and those without validation data, stay as they are.
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

/** Bytes that this process may take: all but a tenth for the system, of a container's where it is in one. */
function memoryHere(): number {
  const limit = process.constrainedMemory();
  return 0.9 * Math.min(totalmem(), limit > 0 ? limit : Number.POSITIVE_INFINITY);
}
