import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { environmentFor } from '@graft/peft-core/precision';
import { packagesOf, pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { withParent } from '../../scripts/golden/environment/run-python.ts';
import { Side } from '../training/lock-step.ts';
import type { Precision } from '../training/sides.ts';
import type { Plans } from './plans.ts';

/**
 * `graft`: as a job runs it. `trl`: DPOTrainer with its defaults, which compute blocks again for their gradients. `trl-kept`: the same
 * without that. `expert`: as `trl-kept`, with the reference computed before the first step and pairs of like lengths in a batch.
 */
export const sideNames = ['graft', 'trl', 'trl-kept', 'expert'] as const;
export type SideName = (typeof sideNames)[number];

const graftFile = new URL('graft.ts', import.meta.url);
const trlFile = join(import.meta.dirname, 'dpo_trl.py');

/** Starts a side in a separate process, Graft's with the environment that the worker gives its trainers. */
export async function startSide(
  name: SideName,
  plans: Plans,
  precision: Precision,
  folder: string,
): Promise<Side> {
  const file = join(folder, `${name}-plan.json`);
  if (name === 'graft') {
    await writeFile(file, JSON.stringify(plans.graft));
    return new Side(name, process.execPath, [...process.execArgv, fileURLToPath(graftFile), file], {
      TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? '2',
      ...environmentFor(precision),
    });
  }
  const checkpointed = name === 'trl';
  const pairs = name === 'expert' ? byLength(plans.trl.pairs, plans.trl.batch_size) : plans.trl.pairs;
  const packages = packagesOf(await pythonEnvironment());
  await writeFile(
    file,
    JSON.stringify({ ...plans.trl, packages, pairs, checkpointed, precomputed: name === 'expert' }),
  );
  // Settings that some machines make for old OpenBLAS builds slow a current one down.
  return new Side(name, await pythonEnvironment(undefined, 'trl'), withParent(trlFile, file), {
    PYTHONWARNINGS: 'ignore',
    // Threads that spin at a barrier would take the cores from one another where other work runs, and only TRL's sides would suffer.
    OMP_WAIT_POLICY: 'PASSIVE',
    OPENBLAS_CORETYPE: undefined,
    OPENBLAS_L2_SIZE: undefined,
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
