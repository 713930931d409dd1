import { parsePeftConfig, resolveTraining, type TrainingOptions } from '../config/index.ts';
import type { BaseModel } from '../files.ts';
import { train } from '../train/loop.ts';
import type { TrainOptions, TrainRecord } from '../train/records.ts';

/** Options of `train` for a tiny model and `exampleCount` lines, from what a request's `peft` and `training` hold. */
export function trainOptions(given: {
  base: BaseModel;
  trainingFile: string;
  exampleCount: number;
  peft: Record<string, unknown>;
  training: TrainingOptions;
  outputDir: string;
}): TrainOptions {
  const peft = parsePeftConfig(given.peft);
  const { training, exampleCount, ...rest } = given;
  return {
    ...rest,
    baseModelName: 'tiny',
    peft,
    training: resolveTraining({ peft, training, exampleCount }),
  };
}

/** The records of a training until its end, or until one for which `until` is true. */
export async function trainRecords(
  options: TrainOptions,
  until: (record: TrainRecord) => boolean = () => false,
): Promise<TrainRecord[]> {
  const records: TrainRecord[] = [];
  for await (const record of train(options)) {
    records.push(record);
    if (until(record)) break;
  }
  return records;
}

/** Trains to the end; returns the losses of all steps and the last record. */
export async function trainAdapter(
  options: TrainOptions,
): Promise<{ losses: number[]; done: Extract<TrainRecord, { type: 'done' }> }> {
  const records = await trainRecords(options);
  const losses = records.flatMap((record) => (record.type === 'step' ? [record.loss] : []));
  const done = records.at(-1);
  if (done?.type !== 'done') throw new Error('the training did not end');
  return { losses, done };
}
