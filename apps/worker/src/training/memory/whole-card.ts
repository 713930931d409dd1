import type { Job } from '@graft/service/jobs';
import type { TrainerProcess } from '../trainer-process.ts';

/** A card that a trainer shares with the generator. */
export interface SharedCard {
  /** Memory limit of the trainer while the generator runs, and without the generator. */
  sharedBytes: number;
  wholeBytes: number;
  /** Closes an idle generator until the returned function is called; null: the generator is busy. */
  takeWhole(): Promise<(() => void) | null>;
}

/** Checks whether the job needs more memory than a trainer has while the generator runs: by its estimate, or because it ran out. */
export function needsWholeCard(
  { estimate, requirements }: Pick<Job, 'estimate' | 'requirements'>,
  { sharedBytes }: Pick<SharedCard, 'sharedBytes'>,
): boolean {
  if (requirements?.microBatch !== undefined) return true;
  // The estimate of a CPU is not comparable.
  return estimate?.machine.device === 'gpu' && estimate.peakMemoryBytes > sharedBytes;
}

/** Runs `work` with the whole card where the job needs it and the generator is idle. */
export async function withWholeCard<T>(
  job: Pick<Job, 'estimate' | 'requirements'>,
  trainer: TrainerProcess,
  card: SharedCard | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const giveBack = card && needsWholeCard(job, card) ? await card.takeWhole() : null;
  if (!card || !giveBack) return await work();
  const before = trainer.cardBytes;
  trainer.cardBytes = card.wholeBytes;
  try {
    return await work();
  } finally {
    trainer.cardBytes = before;
    // TensorFlow never frees card memory, so the trainer must end before the generator starts again.
    await trainer.close();
    giveBack();
  }
}
