import { elementCount } from '../tensors/tensor-source.ts';
import { writeCheckpoint } from './checkpoint.ts';
import { evaluate } from './evaluation.ts';
import { finishRun } from './finish-run.ts';
import { openRun, type TrainingRun } from './open-run.ts';
import type { RecordOf, TrainOptions, TrainRecord } from './records.ts';
import { runStep } from './run-step.ts';
import { setUpTraining } from './setup.ts';
import { STATE } from './train-program.ts';
import { WarmModel } from './warm-model.ts';

/**
 * Trains an adapter and yields a record of each step. The same inputs and seed give the same adapter bit for bit, also when the
 * run stops at any step and is resumed from its checkpoint. Each step blocks the calling thread while TensorFlow computes.
 *
 * Throws GraftError: the data's faults (`invalid_jsonl`, `example_too_long`, …), `unsupported_model`,
 * `target_modules_not_found`, `training_diverged` when a loss is not a number.
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainRecord> {
  const { training, checkpointDir, signal } = options;
  // A fault of the data leaves the warm model as it is.
  const setup = await setUpTraining(options);
  const warm = options.warm ?? new WarmModel();
  try {
    const run = await openRun(options, setup, warm);
    const { plan } = run;
    yield startRecord(run);

    while (run.step < plan.steps) {
      if (signal?.aborted) {
        if (checkpointDir && run.step > 0) yield await checkpoint(run, checkpointDir);
        yield { type: 'stopped', step: run.step };
        return;
      }
      yield runStep(run);
      const last = run.step === plan.steps;
      if (last || run.step % training.eval_steps === 0) yield* evaluation(run);
      if (checkpointDir && !last && run.step % training.checkpoint_steps === 0)
        yield await checkpoint(run, checkpointDir);
    }

    // The last checkpoint comes before the files: a crash while they are written loses nothing.
    if (checkpointDir) yield await checkpoint(run, checkpointDir);
    yield await finishRun(run);
  } catch (error) {
    // After a fault nothing is known of the session's state: the next job starts from a clean one.
    warm.close();
    throw error;
  } finally {
    if (!options.warm) warm.close();
  }
}

function startRecord({
  setup,
  plan,
  built,
  precision,
  resumedFrom,
  passedOver,
}: TrainingRun): RecordOf<'start'> {
  const { architecture, data } = setup;
  const trainableParameters = built.model.layout.size;
  const frozen = architecture.parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return {
    type: 'start',
    trainableParameters,
    totalParameters: frozen + trainableParameters,
    totalSteps: plan.steps,
    examples: data.training.length,
    tokensPerEpoch: data.training.reduce((sum, { tokens }) => sum + tokens, 0),
    paddingFraction: plan.stats.paddingFraction,
    ...{ resumedFrom, passedOver, precision },
  };
}

/** Measures the model on the validation examples, if there are any. */
function* evaluation(run: TrainingRun): Generator<RecordOf<'evaluation'>> {
  const { built, setup, measuring, step } = run;
  if (measuring?.measuredOn !== 'validation') return;
  run.measurement = evaluate(built, measuring.plan, measuring.examples, setup.layout);
  yield { type: 'evaluation', step, ...run.measurement };
}

async function checkpoint(run: TrainingRun, root: string): Promise<RecordOf<'checkpoint'>> {
  const { step, trainedTokens, built, identity } = run;
  const state = built.program.read([...STATE]) as Map<string, Float32Array>;
  const dir = await writeCheckpoint(root, { step, trainedTokens, state }, built.model.layout, identity);
  return { type: 'checkpoint', step, dir };
}
