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

/** Trains to the end; returns what is told of it. */
export async function trainAdapter(
  options: TrainOptions,
): Promise<{ losses: number[]; done: Extract<TrainRecord, { type: 'done' }> }> {
  const losses: number[] = [];
  for await (const record of train(options)) {
    if (record.type === 'step') losses.push(record.loss);
    if (record.type === 'done') return { losses, done: record };
  }
  throw new Error('the training did not end');
}
