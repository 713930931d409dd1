import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { WrittenFile } from '../files.ts';
import { systemCode } from './checkpoints/durable-files.ts';
import { folderOfStep } from './checkpoints/manifest.ts';
import { bestOf, publishedStepOf, validationOf, writeFiles } from './finish-run.ts';
import type { TrainingRun } from './open-run.ts';
import type { RecordOf } from './records.ts';
import { withResult } from './update/average.ts';

/**
 * Whether the adapter of this step is kept as a snapshot: at evaluations, or without them at the end of each training epoch.
 * Not at a step that is published right away.
 */
export function isSnapshotDue(run: TrainingRun, isEvaluated: boolean): boolean {
  const { options, measuring, plan, step, best } = run;
  if (!options.snapshotDir) return false;
  const isOver = step === plan.steps || best.isPatienceLost;
  if (isOver && publishedStepOf(run) === step) return false;
  return measuring?.measuredOn === 'validation' ? isEvaluated : step % plan.stepsPerEpoch === 0;
}

/**
 * Writes the files of the current adapter as `finishRun` would if the run ended here. A storage fault loses the snapshot, but does not
 * end the run.
 */
export async function takeSnapshot(run: TrainingRun): Promise<RecordOf<'snapshot' | 'snapshot_lost'>> {
  const { step, options, log, trainedTokens, finalLoss } = run;
  const dir = path.join(options.snapshotDir!, folderOfStep(step));
  let files: WrittenFile[];
  try {
    files = await withResult(run, async () => await writeFiles(run, dir, step));
  } catch (error) {
    await rm(dir, { recursive: true, force: true }).catch(() => {});
    const reason = systemCode(error);
    if (reason === null) throw error;
    return { type: 'snapshot_lost', step, reason };
  }
  const validation = validationOf(run);
  const accuracy = log.series.train.tokenAccuracy[step - 1]!;
  return {
    type: 'snapshot',
    step,
    dir,
    trainedTokens,
    files,
    best: bestOf(run),
    trainingLoss: finalLoss,
    trainingAccuracy: Number.isNaN(accuracy) ? null : accuracy,
    validationLoss: validation?.loss ?? null,
    validationAccuracy: validation?.tokenAccuracy ?? null,
    metrics: validation?.metrics ?? {},
  };
}
