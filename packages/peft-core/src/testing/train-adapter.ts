import { parsePeftConfig, resolveTraining, type TrainingOptions } from '../config/index.ts';
import type { TrainingFile, ValidationFile } from '../examples/index.ts';
import type { BaseModel } from '../files.ts';
import { openLocalCheckpoints, pruneLocalCheckpoints } from '../train/checkpoints/index.ts';
import { train } from '../train/loop.ts';
import type { TrainOptions, TrainRecord } from '../train/records.ts';

/** Options of `train` for a tiny model and `exampleCount` lines, from a request's `peft` and `training`. */
export function trainOptions(given: {
  base: BaseModel;
  trainingFile: string;
  validationFile?: string;
  trainingFiles?: readonly TrainingFile[];
  validationFiles?: readonly ValidationFile[];
  exampleCount: number;
  format?: string;
  method?: string;
  peft: Record<string, unknown>;
  training: TrainingOptions;
  outputDir: string;
}): TrainOptions {
  const peft = parsePeftConfig(given.peft);
  const { training, exampleCount, format = null, ...rest } = given;
  return {
    ...rest,
    baseModelName: 'tiny',
    peft,
    training: resolveTraining({
      peft,
      training,
      exampleCount,
      format,
      method: given.method ?? null,
      hasValidationFile: given.validationFile !== undefined,
    }),
  };
}

export interface TestTrainOptions extends TrainOptions {
  /** Folder for checkpoints, in the layout of `graft train`. */
  checkpointDir?: string;
  /** Resume from the newest checkpoint. */
  resume?: boolean;
}

/** The records of a training run until its end, or until one for which `until` is true. */
export async function trainRecords(
  { checkpointDir, resume, ...options }: TestTrainOptions,
  until: (record: TrainRecord) => boolean = () => false,
): Promise<TrainRecord[]> {
  const records: TrainRecord[] = [];
  const found = checkpointDir ? await openLocalCheckpoints(checkpointDir) : null;
  const checkpoints = found ? { ...found, candidates: resume ? found.candidates : [] } : options.checkpoints;
  for await (const record of train({ ...options, checkpoints: checkpoints ?? null })) {
    records.push(record);
    if (record.type === 'checkpoint' && checkpointDir) await pruneLocalCheckpoints(checkpointDir, record.dir);
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
