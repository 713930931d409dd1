import type { Job } from '@graft/service';
import type { TrainerProcess } from '../trainer-process.ts';

/** A card that a trainer shares with the generator. */
export interface SharedCard {
  /** What the trainer may hold of its memory beside the generator, and without it. */
  besideBytes: number;
  wholeBytes: number;
  /** Closes an idle generator until the answered function is called; null: it is at work. */
  takeWhole(): Promise<(() => void) | null>;
}

/** Whether the job needs more of its card than there is beside a generator: by its estimate, or because it ran out of memory. */
export function needsWholeCard(
  { estimate, requirements }: Pick<Job, 'estimate' | 'requirements'>,
  { besideBytes }: Pick<SharedCard, 'besideBytes'>,
): boolean {
  if (requirements?.microBatch !== undefined) return true;
  // Of a processor it is another number.
  return estimate?.machine.device === 'gpu' && estimate.peakMemoryBytes > besideBytes;
}

/** Does `work` with all of the trainer's card where the job needs that, and the generator has nothing to do. */
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
    // It holds what the generator is to have: TensorFlow gives nothing back.
    await trainer.close();
    giveBack();
  }
}
