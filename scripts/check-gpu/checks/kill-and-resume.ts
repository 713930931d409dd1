import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrainerRecord, TrainingRequest } from '../../../apps/worker/src/training/trainer-protocol.ts';
import type { CheckContext, Figures } from '../check.ts';
import { tasks } from '../models.ts';
import { recordsOf, startTrainer, trainingRequest } from './processes.ts';

const steps = 16;
// Far from the end: a kill takes some milliseconds, as a small model's steps do.
const killedAtStep = 5;

/**
 * A killed trainer's job that another trainer resumes must end with the bits of an uninterrupted one. Where it does not, the check runs
 * again with TensorFlow's deterministic operations, which are slower.
 */
export async function killAndResume(context: CheckContext): Promise<Figures> {
  const { difference, figures } = await interrupted(context, 'as jobs run');
  if (difference === null) return { ...figures, bits: 'the same' };
  // Trainers inherit it.
  process.env.TF_DETERMINISTIC_OPS = '1';
  const again = await interrupted(context, 'deterministic').then(
    (found) => (found.difference === null ? 'the same' : `others too (${found.difference})`),
    (error: Error) => `none: ${error.message}`,
  );
  throw new Error(
    `the adapter has other bits, losses differ by up to ${difference}; with TF_DETERMINISTIC_OPS=1 bits are ${again}`,
  );
}

/** `difference`: the largest of losses, where the two adapters have other bits; null where they have the same. */
async function interrupted(
  context: CheckContext,
  name: string,
): Promise<{ figures: Figures; difference: number | null }> {
  const task = await tasks.demo(context);
  const requestOf = (part: string) => trainingRequest(context, task, { name: `${name}, ${part}`, steps });
  const trainer = startTrainer(context);
  try {
    const wholeRequest = await requestOf('whole');
    const whole = await recordsOf(trainer, wholeRequest);
    const cut = await recordsOf(trainer, await requestOf('cut'), (record, kill) => {
      if (record.type === 'step' && record.step === killedAtStep) kill();
    });
    if (cut.some(({ type }) => type === 'done')) throw new Error('the kill came too late');
    const began = performance.now();
    let firstStep = Number.NaN;
    const restRequest = await requestOf('cut');
    const rest = await recordsOf(trainer, restRequest, ({ type }) => {
      if (type === 'step' && Number.isNaN(firstStep)) firstStep = (performance.now() - began) / 1000;
    });
    const { resumedFrom } = only(rest, 'start');
    if (resumedFrom === null) throw new Error('the job was not resumed from a checkpoint');
    const isSame = (await adapterOf(wholeRequest)) === (await adapterOf(restRequest));
    return {
      figures: {
        steps: `${steps}`,
        'resumed from': `step ${resumedFrom}`,
        'first step after': `${firstStep.toFixed(1)} s`,
      },
      difference: isSame ? null : lossDifference(whole, rest),
    };
  } finally {
    await trainer.close();
  }
}

type RecordOf<Type> = Extract<TrainerRecord, { type: Type }>;

function only<Type extends TrainerRecord['type']>(records: TrainerRecord[], type: Type): RecordOf<Type> {
  const found = records.find((record): record is RecordOf<Type> => record.type === type);
  if (!found) throw new Error(`the training reported no ${type}`);
  return found;
}

/** Digest of the finished adapter's weights. */
async function adapterOf({ outputDir }: TrainingRequest): Promise<string> {
  const weights = await readFile(join(outputDir, 'adapter_model.safetensors'));
  return createHash('sha256').update(weights).digest('hex');
}

function lossDifference(whole: TrainerRecord[], rest: TrainerRecord[]): number {
  const lossAt = new Map(whole.flatMap((each) => (each.type === 'step' ? [[each.step, each.loss]] : [])));
  const differences = rest.flatMap((each) =>
    each.type === 'step' ? [Math.abs(each.loss - lossAt.get(each.step)!)] : [],
  );
  return Math.max(...differences);
}
