import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TrainOptions, train, WarmModel } from '@graft/peft-core';
import { GraftError } from '@graft/peft-core/config';
import { openBaseModel } from '@graft/peft-core/files';
import type { Rows } from './sweep.ts';

export interface Measured {
  steps: number;
  /** On the validation rows after the last step, to four digits; null: training diverged, or had no such rows. */
  loss: number | null;
  /** Validation losses, by ascending step. */
  evaluations: { step: number; loss: number }[];
}

/** Options of one run. `adapter`: its folder, which is emptied before. `title`: of the progress on a terminal. */
export type Run = Pick<TrainOptions, 'peft' | 'training' | 'method' | 'initialAdapter'> & {
  adapter?: string;
  title: string;
};

/** Opens a base model on which adapters are trained one after the other. `warm`: its program stays in memory between runs. */
export async function openTrainer(
  path: string,
  baseModelName: string,
  options: { warm: boolean; digestCache?: string },
) {
  const { digestCache } = options;
  const base = await openBaseModel(path, digestCache === undefined ? {} : { digestCache });
  const folder = await mkdtemp(join(tmpdir(), 'graft-sweep-'));
  const warm = options.warm ? new WarmModel() : null;

  async function write(name: string, rows: readonly object[]): Promise<string> {
    const file = join(folder, name);
    await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return file;
  }

  return {
    base,
    /** For adapters, until the end. */
    folder,
    /** Trains on the rows, which may have none to validate on. */
    async train({ training: rows, validation }: Rows, { title, adapter, ...run }: Run): Promise<Measured> {
      const outputDir = adapter ?? join(folder, 'adapter');
      await rm(outputDir, { recursive: true, force: true });
      const measured: Measured = { steps: 0, loss: null, evaluations: [] };
      const trainingFile = await write('train.jsonl', rows);
      const validationFile = validation.length > 0 ? await write('validation.jsonl', validation) : undefined;
      const own = { base, baseModelName, outputDir, trainingFile };
      const records = train({
        ...run,
        ...own,
        ...(validationFile !== undefined && { validationFile }),
        ...(warm && { warm, sharesBase: true }),
      });
      try {
        for await (const record of records) {
          if (record.type === 'step' && process.stderr.isTTY)
            process.stderr.write(`\r${title}: step ${record.step}/${record.totalSteps} \x1b[K\r`);
          if (record.type === 'evaluation')
            measured.evaluations.push({ step: record.step, loss: record.loss });
          if (record.type !== 'done') continue;
          measured.steps = record.steps;
          const loss = record.validationLoss;
          if (loss !== null && Number.isFinite(loss)) measured.loss = Number(loss.toPrecision(4));
        }
      } catch (error) {
        if (!(error instanceof GraftError && error.code === 'training_diverged')) throw error;
      }
      return measured;
    },
    async close(): Promise<void> {
      warm?.close();
      await base.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export type Trainer = Awaited<ReturnType<typeof openTrainer>>;

/** Seconds since a time of performance.now(). */
export const secondsSince = (began: number): number => Math.round((performance.now() - began) / 1000);
