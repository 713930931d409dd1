import type { CardWatch } from '../cards/card-watch.ts';
import { CardFault, type CardFaultCode, cardFaultIn, wordsOf } from '../faults/card-fault.ts';
import { UnhealthyReason } from '../faults/unfit.ts';
import type { Proof } from '../health/proofs.ts';
import { type ChildFault, memoryFault } from '../processes/child-fault.ts';
import type { TrainerProcess } from './trainer-process.ts';

const engineMilliseconds = 180_000;

/**
 * Checks that TensorFlow loads and computes in the child process of each slot, on its device. With several cards one is enough; the
 * others get no jobs. `onSpeed` receives the floating-point operations per second of the slowest device, because a job may run on any
 * of them. The measurement takes 0.2 s after TensorFlow has loaded (seconds). It is skipped while this worker trains or answers
 * completions, when the result would be too low.
 */
export function engineProof(
  trainers: TrainerProcess[],
  computing: Parameters<TrainerProcess['prove']>[0],
  {
    cards,
    isServing,
    onKernels,
    onSpeed,
  }: {
    cards: CardWatch;
    isServing: () => boolean;
    /** Receives the kernel sets of each trainer, best first. Throws `UnhealthyReason` where the operator's choice is missing. */
    onKernels: (sets: readonly string[]) => void;
    onSpeed: (flops: number) => void;
  },
): Proof {
  return async () => {
    const speeds: number[] = [];
    const isIdle = !isServing() && !trainers.some(({ atWork }) => atWork);
    const measured = isIdle ? (flops: number) => void speeds.push(flops) : undefined;
    const found: (readonly string[])[] = [];
    const reports = { onKernels: (sets: readonly string[]) => void found.push(sets), onSpeed: measured };
    const faults = await Promise.all(
      trainers.map(async (trainer) => {
        // A card that nvidia-smi does not list has a known fault and cannot be checked.
        const fault = cards.isThere(trainer.device) ? await faultIn(trainer, computing, reports) : null;
        if (cards.isThere(trainer.device)) cards.tried(trainer.device, fault);
        return cards.faultOf(trainer.device) ?? fault;
      }),
    );
    const [first] = faults.filter((fault) => fault !== null);
    if (first && (trainers.some(({ device }) => device.kind === 'cpu') || !faults.includes(null)))
      throw first;
    for (const sets of found) onKernels(sets);
    if (speeds.length > 0) onSpeed(Math.min(...speeds));
  };
}

/** The fault of the trainer's device; null where it computes. */
async function faultIn(
  trainer: TrainerProcess,
  computing: Parameters<TrainerProcess['prove']>[0],
  reports: Parameters<TrainerProcess['prove']>[2],
): Promise<UnhealthyReason | null> {
  const { device } = trainer;
  const outcome = await trainer.prove(computing, AbortSignal.timeout(engineMilliseconds), reports);
  if (outcome === null || outcome.type === 'finished') return null;
  const reason = reasonOf(outcome);
  if (device.kind === 'cpu')
    return new UnhealthyReason(
      'its TensorFlow does not compute',
      `TensorFlow does not compute on the cpu: ${reason}`,
    );
  // TensorFlow falls back to the CPU and only logs the reason.
  const logged = trainer.output;
  const isFull = 'fault' in outcome && outcome.fault.code === memoryFault.code;
  const code = isFull ? 'gpu_memory_taken' : reasonCode(logged, reason);
  const words = logged === '' ? 'TensorFlow logged nothing.' : `TensorFlow logged: ${wordsOf(logged, 1500)}`;
  return new CardFault(
    code,
    `TensorFlow does not compute on ${device.name} (${device.uuid}): ${wordsOf(reason)} ${words}`,
  );
}

const reasonCode = (logged: string, reason: string): CardFaultCode =>
  cardFaultIn(logged) ?? cardFaultIn(reason) ?? 'gpu_not_used';

function reasonOf(outcome: { type: string; fault?: ChildFault; exit?: object }): string {
  if (outcome.fault) return outcome.fault.stack ?? outcome.fault.message;
  if (outcome.exit) return `the child process ended with ${JSON.stringify(outcome.exit)}`;
  return `the child process did not answer within ${engineMilliseconds / 1000} s`;
}
