import { join } from 'node:path';
import { packagesOf, pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { python, Side } from '../../scripts/measuring/processes.ts';
import { type Precision, startGraft } from '../training/sides.ts';
import type { Plans } from './plans.ts';

/**
 * `graft`: as a job runs it. `trl`: DPOTrainer with its defaults, which compute blocks again for their gradients. `trl-kept`: the same
 * without that. `expert`: as `trl-kept`, with the reference computed before the first step and pairs of like lengths in a batch.
 */
export const sideNames = ['graft', 'trl', 'trl-kept', 'expert'] as const;
export type SideName = (typeof sideNames)[number];

/** Starts a side in a separate process. */
export async function startSide(name: SideName, { graft, trl }: Plans, precision: Precision): Promise<Side> {
  if (name === 'graft') return startGraft(name, graft, precision);
  // Threads that spin at a barrier would take the cores from one another where other work runs, and only TRL's sides would suffer.
  const program = await python(join(import.meta.dirname, 'dpo_trl.py'), 'trl', {
    OMP_WAIT_POLICY: 'PASSIVE',
  });
  return new Side(name, program, {
    ...trl,
    packages: packagesOf(await pythonEnvironment()),
    pairs: name === 'expert' ? byLength(trl.pairs, trl.batch_size) : trl.pairs,
    checkpointed: name === 'trl',
    precomputed: name === 'expert',
  });
}

type Pairs = Plans['trl']['pairs'];
export const tokensOf = ({ prompt_ids, chosen_ids, rejected_ids }: Pairs[number]): number =>
  2 * prompt_ids.length + chosen_ids.length + rejected_ids.length;
const paddedTo = ({ prompt_ids, chosen_ids, rejected_ids }: Pairs[number]) =>
  prompt_ids.length + Math.max(chosen_ids.length, rejected_ids.length);

/**
 * The pairs with those of like lengths in one batch, as by the Trainer's group_by_length at best: all of them are sorted. The first batch
 * stays, so that its loss compares, and the others come in an order that mixes short and long.
 */
export function byLength(pairs: Pairs, batchSize: number): Pairs {
  const sorted = pairs.slice(batchSize).toSorted((a, b) => paddedTo(b) - paddedTo(a));
  const count = sorted.length / batchSize;
  const batches = Array.from({ length: count }, (_, i) => sorted.slice(i * batchSize, (i + 1) * batchSize));
  const mixed = batches.map((_, i) => batches[i % 2 === 0 ? i / 2 : count - (i + 1) / 2]!);
  return [...pairs.slice(0, batchSize), ...mixed.flat()];
}
