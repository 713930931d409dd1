import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TrainOptions, train } from '@graft/peft-core';
import { GraftError } from '@graft/peft-core/config';

/** What a run has measured. */
export interface Measured {
  steps: number;
  /** On the validation rows after the last step, to four digits; null: training diverged. */
  loss: number | null;
  /** Validation losses, by ascending step. */
  evaluations: { step: number; loss: number }[];
}

/** Trains on `training` and validates on `validation`, whose files are written to `folder`. `title`: of the progress on a terminal. */
export async function trainRows(
  folder: string,
  { training, validation }: { training: object[]; validation: object[] },
  options: Omit<TrainOptions, 'trainingFile' | 'validationFile'>,
  title: string,
): Promise<Measured> {
  const [trainingFile, validationFile] = [join(folder, 'train.jsonl'), join(folder, 'validation.jsonl')];
  await writeRows(trainingFile, training);
  await writeRows(validationFile, validation);
  const evaluations: Measured['evaluations'] = [];
  let steps = 0;
  let loss: number | null = null;
  try {
    for await (const record of train({ ...options, trainingFile, validationFile })) {
      if (record.type === 'step' && process.stderr.isTTY)
        process.stderr.write(`\r${title}: step ${record.step}/${record.totalSteps} \x1b[K\r`);
      if (record.type === 'evaluation') evaluations.push({ step: record.step, loss: record.loss });
      if (record.type === 'done') [steps, loss] = [record.steps, record.validationLoss];
    }
  } catch (error) {
    if (!(error instanceof GraftError && error.code === 'training_diverged')) throw error;
  }
  const isNumber = loss !== null && Number.isFinite(loss);
  return { steps, loss: isNumber ? Number(loss!.toPrecision(4)) : null, evaluations };
}

const writeRows = (file: string, rows: object[]) =>
  writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
