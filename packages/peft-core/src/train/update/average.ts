import type { TrainingRun } from '../open-run.ts';
import { AVERAGE } from '../train-program.ts';

/**
 * Runs `body` while the program holds the adapter that is measured and published: with `ema_decay` the average of all steps so far, not
 * that of the last. Training then goes on as if nothing had been.
 */
export async function withResult<T>(run: TrainingRun, body: () => T | Promise<T>): Promise<T> {
  const { built, options } = run;
  if (options.training.ema_decay === undefined) return await body();
  const { program } = built;
  // What is read may be overwritten by what comes next.
  const trained = (program.read(['adapter']).get('adapter') as Float32Array).slice();
  await holdAverage(run);
  try {
    return await body();
  } finally {
    await program.write([['adapter', trained]]);
  }
}

/** Puts the average in the adapter's place: only at the end, or within `withResult`. */
export async function holdAverage({ built: { program } }: Pick<TrainingRun, 'built'>): Promise<void> {
  const average = (program.read([AVERAGE]).get(AVERAGE) as Float32Array).slice();
  await program.write([['adapter', average]]);
}
