import type { AdapterVerification, TrainRecord } from '@graft/peft-core';
import type { ChildFault } from '../processes/child-fault.ts';
import type { JobInterrupts } from './job-interrupts.ts';
import type { TrainerOutcome, TrainerProcess } from './trainer-process.ts';
import type { TrainingRequest } from './trainer-protocol.ts';

/** How far the reloaded files' loss may be from the live model's, in nats a token. */
const TOLERANCE = 1e-4;

/** What the adapter version's row holds, named as on the wire. */
export interface VerificationMetrics {
  /** Loss of the live model at the end of training, of its files in a fresh process, and of the model without them. */
  live_loss: number;
  reloaded_loss: number;
  base_loss: number;
  /** Examples that the three were measured on, and where they come from. */
  examples: number;
  measured_on: 'validation' | 'training';
}

/**
 * Loads a finished job's files in a fresh trainer and measures their loss. It must equal the live model's, or the fault is
 * `adapter_not_reproduced`; and differ from the base model's, or it is `adapter_without_effect`. `end` is how that ended.
 */
export async function verifyEffect(
  trainer: TrainerProcess,
  request: TrainingRequest,
  done: Extract<TrainRecord, { type: 'done' }>,
  interrupts: JobInterrupts,
): Promise<{ end: TrainerOutcome; metrics: VerificationMetrics | null }> {
  const { outputDir: _, snapshotDir: _snapshots, checkpoints: _kept, trials, ...rest } = request;
  const { peft, training } = done.winner && trials ? trials[done.winner.trial - 1]! : request;
  let verification: AdapterVerification | undefined;
  const end = await trainer.verify(
    {
      ...rest,
      peft,
      training: { ...training, precision: rest.training.precision },
      adapterDir: done.adapterDir,
    },
    {
      stop: interrupts.stop,
      kill: interrupts.kill,
      onVerification: (measured) => {
        verification = measured;
      },
    },
  );
  if (end.type !== 'finished') return { end, metrics: null };
  if (!verification || !done.verification) throw new Error('The trainer finished without a verification.');
  const metrics: VerificationMetrics = {
    live_loss: done.verification.loss,
    reloaded_loss: verification.reloadedLoss,
    base_loss: verification.baseLoss,
    examples: done.verification.examples,
    measured_on: done.verification.measuredOn,
  };
  const fault = faultIn(metrics);
  return fault ? { end: { type: 'failed', fault }, metrics: null } : { end, metrics };
}

function faultIn({
  live_loss: live,
  reloaded_loss: reloaded,
  base_loss: base,
}: VerificationMetrics): ChildFault | null {
  if (!(Math.abs(live - reloaded) <= TOLERANCE)) {
    return {
      code: 'adapter_not_reproduced',
      message: `the adapter's files, loaded again, have a loss of ${reloaded}; the trained model had ${live}`,
      param: null,
      fault: 'system',
    };
  }
  if (reloaded !== base) return null;
  return {
    code: 'adapter_without_effect',
    message: `the trained adapter changes nothing: its loss is the base model's, ${base}; try a larger learning rate or more steps`,
    param: 'training.learning_rate',
    fault: 'user',
  };
}
