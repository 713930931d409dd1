import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mergeAdapter, type TrainRecord, train, WarmModel } from '@graft/peft-core';
import { openLocalCheckpoints } from '@graft/peft-core/checkpoints';
import { type PeftConfig, parsePeftConfig, type ResolvedTraining } from '@graft/peft-core/config';
import { type BaseModel, openBaseModel } from '@graft/peft-core/files';
import { checkTraining, type TrainingCheck } from '../../../packages/peft-core/src/testing/check-training.ts';
import type { Cell } from './cells.ts';

export interface GraftRun {
  losses: number[];
  adapter: string;
  /** Null for methods that do not merge. */
  merged: string | null;
  /** The adapter after an interruption and a resume, and without: the same bytes. */
  resumed: { whole: Buffer; resumed: Buffer };
  checked: TrainingCheck;
}

/** Trains one cell with Graft from the given start: once for the loss curve, and again interrupted and resumed. */
export async function runGraft(
  cell: Cell,
  options: { model: string; trainingFile: string; training: ResolvedTraining; start: string; folder: string },
): Promise<GraftRun> {
  const { model, trainingFile, training, start, folder } = options;
  const base = await openBaseModel(model);
  const warm = new WarmModel();
  const peft = parsePeftConfig(cell.config);
  const common = { base, baseModelName: model, trainingFile, peft, training, warm };
  const from =
    cell.method.start === 'adapter'
      ? { initialAdapter: start }
      : { initialParameters: join(start, 'start.safetensors') };
  try {
    const losses: number[] = [];
    const adapter = join(folder, 'graft');
    for await (const record of train({ ...common, ...from, outputDir: adapter })) {
      if (record.type === 'step') losses.push(record.loss);
    }
    let merged: string | null = null;
    const { merges } = cell.method;
    if (typeof merges === 'boolean' ? merges : merges(cell.architecture)) {
      merged = join(folder, 'merged');
      await mergeAdapter({ base, adapterDir: adapter, outputDir: merged });
    }
    // The gradient that a padding token's embedding does not get is there in finite differences.
    const unpadded = cell.architecture.paddingInData ? { pad_token_id: null } : {};
    // They are of the loss of an evaluation, which has no part that balances experts.
    const config = { ...base.config, ...unpadded, output_router_logits: false };
    const differentiable = { ...base, config };
    const checked = await checkTraining({ ...common, ...from, base: differentiable });
    return { losses, adapter, merged, resumed: await interrupt(common, folder), checked };
  } finally {
    await base.close();
  }
}

/** A training from fresh values, stopped after three steps and resumed, beside one that was not stopped. */
async function interrupt(
  common: {
    base: BaseModel;
    baseModelName: string;
    trainingFile: string;
    peft: PeftConfig;
    training: ResolvedTraining;
    warm: WarmModel;
  },
  folder: string,
): Promise<GraftRun['resumed']> {
  const training = { ...common.training, max_steps: 6, checkpoint_steps: 100 };
  const weights = async (dir: string) => {
    const names = (await readdir(dir)).filter((name) => name.endsWith('.safetensors')).sort();
    return Buffer.concat(await Promise.all(names.map((name) => readFile(join(dir, name)))));
  };
  const whole = join(folder, 'whole');
  await drain(train({ ...common, training, outputDir: whole }));

  const resumed = join(folder, 'resumed');
  const checkpoints = join(folder, 'checkpoints');
  const stop = new AbortController();
  const run = { ...common, training, outputDir: resumed };
  for await (const record of train({
    ...run,
    signal: stop.signal,
    checkpoints: await openLocalCheckpoints(checkpoints),
  }))
    if (record.type === 'step' && record.step === 3) stop.abort();
  await drain(train({ ...run, checkpoints: await openLocalCheckpoints(checkpoints) }));
  return { whole: await weights(whole), resumed: await weights(resumed) };
}

async function drain(records: AsyncIterable<TrainRecord>): Promise<void> {
  for await (const _ of records);
}
