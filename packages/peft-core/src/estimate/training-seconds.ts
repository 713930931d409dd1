import { blockNumbers, headNumbers } from './block-numbers.ts';
import type { JobParts } from './job-parts.ts';

/** What one pass over a micro-batch computes. */
export interface PassWork {
  /** Multiplications and additions of matrix products. */
  products: number;
  /** The same of attention, whose products are small. */
  attention: number;
  /** Numbers that operations between products pass on. */
  numbers: number;
  /** The same of attention's probabilities. */
  scores: number;
  /** Blocks that are run, forward or backward. */
  blocks: number;
}

/** Forward, and where it trains also backward. */
export function passWork(parts: JobParts, trains: boolean): PassWork {
  const { training, lowestTrained } = parts;
  const work: PassWork = { products: 0, attention: 0, numbers: 0, scores: 0, blocks: 0 };
  let positions = 0;
  for (const [number, block] of blockNumbers(parts).entries()) {
    const isBackward = trains && number >= lowestTrained;
    const forwards = isBackward && training.gradient_checkpointing ? 2 : 1;
    // A frozen matrix has the product with the gradient alone; attention is recomputed and has four.
    work.products += block.products * (forwards + Number(isBackward));
    work.attention += block.attention * (forwards + (isBackward ? 2.5 : 0));
    work.numbers += block.kept * (forwards + (isBackward ? 2 : 0));
    work.scores += block.scores * (forwards + (isBackward ? 2 : 0));
    work.blocks += forwards + (isBackward ? 2 : 0);
    positions = Math.max(positions, block.positions);
  }
  const head = headNumbers(parts);
  if (head) {
    const { labels, vocabularySize, hiddenSize } = head;
    work.products += 2 * labels * vocabularySize * hiddenSize * (trains ? 2 : 1);
    work.numbers += labels * vocabularySize * (trains ? 3 : 2);
  }
  return work;
}

export function trainingSeconds(parts: JobParts, flops: number): number {
  const { batches } = parts;
  const pass = passWork(parts, true);
  return (batches.passes * pass.products) / flops;
}
