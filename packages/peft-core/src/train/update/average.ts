import type { TrainingRun } from '../open-run.ts';
import { AVERAGE } from '../train-program.ts';

/**
 * Runs `body` while the program holds the adapter that is measured and published: with `ema_decay` the average over all steps so far,
 * not the adapter of the last step. Restores the state of training afterwards.
 */
export async function withResult<T>(run: TrainingRun, body: () => T | Promise<T>): Promise<T> {
  const { built, options } = run;
  if (options.training.ema_decay === undefined) return await body();
  const { program } = built;
  // Copied, since later operations may overwrite the result of a read.
  const trained = (program.read(['adapter']).get('adapter') as Float32Array).slice();
  await holdAverage(run);
  try {
    return await body();
  } finally {
    await program.write([['adapter', trained]]);
  }
}

/** Replaces the adapter with the average: only at the end, or within `withResult`. */
export async function holdAverage({ built: { program } }: Pick<TrainingRun, 'built'>): Promise<void> {
  const average = (program.read([AVERAGE]).get(AVERAGE) as Float32Array).slice();
  await program.write([['adapter', average]]);
}
