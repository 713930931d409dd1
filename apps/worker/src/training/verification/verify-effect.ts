import type { AdapterVerification, ServedFigures } from '@graft/peft-core';
import { isQuantised } from '@graft/peft-core/config';
import type { ChildFault } from '../../processes/child-fault.ts';
import type { JobInterrupts } from '../job-interrupts.ts';
import type { TrainerOutcome, TrainerProcess } from '../trainer-process.ts';
import type { TrainerRecordOf, TrainingRequest } from '../trainer-protocol.ts';

/** Maximum difference between the loss of the reloaded files and of the live model, in nats per token. */
const TOLERANCE = 1e-4;

/** The verification in the adapter version's row, with the names of the API. */
export interface VerificationMetrics {
  /** Loss of the live model at the end of training, of its files in a new process, and of the model without the adapter. */
  live_loss: number;
  reloaded_loss: number;
  base_loss: number;
  /**
   * For an adapter that was trained on a quantised base: the loss of its files on the base as served; `base_loss` is then measured there
   * too. Absent where that needs more memory than this worker has.
   */
  served_loss?: number;
  /** Number of examples that the losses were measured on, and where they come from. */
  examples: number;
  measured_on: 'validation' | 'training';
}

/** Metrics of an adapter that was trained on a quantised base, on the validation examples where there are any. */
export interface ServedBase {
  base_dtype: 'int8' | 'nf4';
  /** On the base as served; null where that needs more memory than this worker has. */
  served: ServedFigures | null;
}

export interface VerifiedEffect {
  end: TrainerOutcome;
  metrics: VerificationMetrics | null;
  /** Null where training used the base as served. */
  quantised: ServedBase | null;
  warning: string | null;
}

/**
 * Loads a finished job's files in `adapterDir` in a new trainer and measures their loss. It must equal the live model's, or the fault is
 * `adapter_not_reproduced`. If it equals the base model's, and the weights still have their start values, the fault is
 * `adapter_without_effect`; if training changed them, `warning` states that they have no measurable effect. After training on a
 * quantised base, the files are compared with the live model on that base, and their effect is measured on the base as served, where
 * that needs at most `memoryBytes`. `end`: how the verification ended.
 */
export async function verifyEffect(
  trainer: TrainerProcess,
  request: TrainingRequest,
  done: TrainerRecordOf<'done'>,
  adapterDir: string,
  {
    interrupts,
    team,
    memoryBytes,
  }: { interrupts: JobInterrupts; team: string; memoryBytes: number | undefined },
): Promise<VerifiedEffect> {
  const { outputDir: _, snapshotDir: _snapshots, checkpoints: _kept, ...more } = request;
  const { trials, comparison: _comparison, publicBaseName: _name, ...rest } = more;
  const { peft, training } = done.winner && trials ? trials[done.winner.trial - 1]! : request;
  const { base_dtype } = training;
  let verification: AdapterVerification | undefined;
  const end = await trainer.verify(
    {
      ...rest,
      peft,
      training: { ...training, precision: rest.training.precision },
      adapterDir,
      ...(isQuantised(base_dtype) && { served: { memoryBytes: memoryBytes ?? null } }),
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
  const nothing = { metrics: null, quantised: null, warning: null };
  if (end.type !== 'finished') return { end, ...nothing };
  if (!verification || !done.verification) throw new Error('The trainer finished without a verification.');
  const quantised = isQuantised(base_dtype) ? { base_dtype, served: verification.served } : null;
  const metrics: VerificationMetrics = {
    live_loss: done.verification.loss,
    reloaded_loss: verification.reloadedLoss,
    base_loss: verification.baseLoss,
    examples: done.verification.examples,
    measured_on: done.verification.measuredOn,
    ...(quantised?.served && { served_loss: quantised.served.loss }),
  };
  const fault = faultIn(metrics, verification.moved);
  if (fault) return { end: { type: 'failed', fault }, ...nothing };
  return { end, metrics, quantised, warning: warningFor(metrics) };
}

function faultIn(
  {
    live_loss: live,
    reloaded_loss: reloaded,
    base_loss: base,
    served_loss: effective = reloaded,
  }: VerificationMetrics,
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
  if (effective !== base || moved) return null;
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
  served_loss: effective = reloaded,
  ...rest
}: VerificationMetrics): string | null {
  if (effective !== base) return null;
  const examples = `${rest.examples} ${rest.measured_on} example${rest.examples === 1 ? '' : 's'}`;
  return `The adapter has no measurable effect: on ${examples} its loss is the base model's, ${base}. Try a larger learning rate or more steps.`;
}
