import type { AdapterVerification } from '@graft/peft-core';
import type { ChildFault } from '../../processes/child-fault.ts';
import type { JobInterrupts } from '../job-interrupts.ts';
import type { TrainerOutcome, TrainerProcess } from '../trainer-process.ts';
import type { TrainerRecordOf, TrainingRequest } from '../trainer-protocol.ts';

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
 * Loads a finished job's files, those in `adapterDir`, in a fresh trainer and measures their loss. It must equal the live model's, or the fault is
 * `adapter_not_reproduced`. If it equals the base model's, and the weights are still the start values, the fault is
 * `adapter_without_effect`; if training changed them, `warning` says that they make no difference. `end` is how that ended.
 */
export async function verifyEffect(
  trainer: TrainerProcess,
  request: TrainingRequest,
  done: TrainerRecordOf<'done'>,
  adapterDir: string,
  { interrupts, team }: { interrupts: JobInterrupts; team: string },
): Promise<{ end: TrainerOutcome; metrics: VerificationMetrics | null; warning: string | null }> {
  const { outputDir: _, snapshotDir: _snapshots, checkpoints: _kept, ...more } = request;
  const { trials, comparison: _comparison, ...rest } = more;
  const { peft, training } = done.winner && trials ? trials[done.winner.trial - 1]! : request;
  let verification: AdapterVerification | undefined;
  const end = await trainer.verify(
    {
      ...rest,
      peft,
      training: { ...training, precision: rest.training.precision },
      adapterDir,
    },
    {
      team,
      stop: interrupts.stop,
      kill: interrupts.kill,
      onVerification: (measured) => {
        verification = measured;
      },
    },
  );
  if (end.type !== 'finished') return { end, metrics: null, warning: null };
  if (!verification || !done.verification) throw new Error('The trainer finished without a verification.');
  const metrics: VerificationMetrics = {
    live_loss: done.verification.loss,
    reloaded_loss: verification.reloadedLoss,
    base_loss: verification.baseLoss,
    examples: done.verification.examples,
    measured_on: done.verification.measuredOn,
  };
  const fault = faultIn(metrics, verification.moved);
  if (fault) return { end: { type: 'failed', fault }, metrics: null, warning: null };
  return { end, metrics, warning: warningFor(metrics) };
}

function faultIn(
  { live_loss: live, reloaded_loss: reloaded, base_loss: base }: VerificationMetrics,
  moved: boolean,
): ChildFault | null {
  if (!(Math.abs(live - reloaded) <= TOLERANCE)) {
    return {
      code: 'adapter_not_reproduced',
      message: `the adapter's files, loaded again, have a loss of ${reloaded}; the trained model had ${live}`,
      param: null,
      fault: 'system',
    };
  }
  if (reloaded !== base || moved) return null;
  return {
    code: 'adapter_without_effect',
    message: `training changed no weight of the adapter, and its loss is the base model's, ${base}; try a larger learning rate`,
    param: 'training.learning_rate',
    fault: 'user',
  };
}

function warningFor({
  reloaded_loss: reloaded,
  base_loss: base,
  ...rest
}: VerificationMetrics): string | null {
  if (reloaded !== base) return null;
  const examples = `${rest.examples} ${rest.measured_on} example${rest.examples === 1 ? '' : 's'}`;
  return `The adapter has no measurable effect: on ${examples} its loss is the base model's, ${base}. Try a larger learning rate or more steps.`;
}
