import { rm } from 'node:fs/promises';
import path from 'node:path';
import { isQuantised } from '../config/index.ts';
import { type WrittenFile, writeAdapter } from '../files.ts';
import { adapterTensorsToSave } from '../peft-model/adapter-values.ts';
import { systemCode } from './checkpoints/durable-files.ts';
import { folderOfStep } from './checkpoints/manifest.ts';
import { BEST_ADAPTER, writeCheckpoint } from './checkpoints/write-checkpoint.ts';
import { evaluate, type Measurement } from './evaluation.ts';
import { peakMemory } from './machine/peak-memory.ts';
import type { TrainingRun } from './open-run.ts';
import type { RecordOf } from './records.ts';
import type { BestEvaluation } from './reports.ts';
import { AVERAGE } from './train-program.ts';

/** Measures the model on the validation examples, if there are any. */
export async function* evaluation(run: TrainingRun): AsyncGenerator<RecordOf<'evaluation'>> {
  const { built, setup, measuring, step } = run;
  if (measuring?.measuredOn !== 'validation') return;
  const measurement = await withResult(run, () => {
    const measured = evaluate(built, measuring, setup.layout);
    const isBest = run.best.take({ step, ...measured });
    if (isBest && run.options.training.load_best_model_at_end) run.bestAdapter = adapterOf(run).slice();
    return measured;
  });
  run.measurement = measurement;
  run.log.addEvaluation({ step, ...measurement });
  run.found.push(...run.watch.takeEvaluation(measurement));
  yield { type: 'evaluation', step, ...measurement };
}

function adapterOf({ built }: TrainingRun): Float32Array {
  return built.program.read(['adapter']).get('adapter') as Float32Array;
}

/**
 * Checks whether the adapter of this step is kept as a snapshot: at evaluations, or without them at the end of each training epoch.
 * Not at a step that is published right away.
 */
function isSnapshotDue(run: TrainingRun, isEvaluated: boolean): boolean {
  const { options, measuring, plan, step, best } = run;
  if (!options.snapshotDir) return false;
  const isOver = step === plan.steps || best.isPatienceLost;
  if (isOver && publishedStepOf(run) === step) return false;
  return measuring?.measuredOn === 'validation' ? isEvaluated : step % plan.stepsPerEpoch === 0;
}

/**
 * Writes the files of the current adapter as `finishRun` would if the run ended here, if a snapshot is due. A storage fault loses the
 * snapshot, but does not end the run.
 */
export async function* snapshot(
  run: TrainingRun,
  isEvaluated: boolean,
): AsyncGenerator<RecordOf<'snapshot' | 'snapshot_lost'>> {
  if (!isSnapshotDue(run, isEvaluated)) return;
  const { step, options, log, trainedTokens, finalLoss } = run;
  const dir = path.join(options.snapshotDir!, folderOfStep(step));
  let files: WrittenFile[];
  try {
    files = await withResult(run, async () => await writeFiles(run, dir, step));
  } catch (error) {
    await rm(dir, { recursive: true, force: true }).catch(() => {});
    const reason = systemCode(error);
    if (reason === null) throw error;
    yield { type: 'snapshot_lost', step, reason };
    return;
  }
  const validation = validationOf(run);
  const accuracy = log.series.train.tokenAccuracy[step - 1]!;
  yield {
    type: 'snapshot',
    step,
    dir,
    trainedTokens,
    files,
    best: bestOf(run),
    trainingLoss: finalLoss,
    trainingAccuracy: Number.isNaN(accuracy) ? null : accuracy,
    validationLoss: validation?.loss ?? null,
    validationAccuracy: validation?.tokenAccuracy ?? null,
    metrics: validation?.metrics ?? {},
  };
}

/** Writes a checkpoint if enough steps or seconds have passed. */
export async function* dueCheckpoint(run: TrainingRun): AsyncGenerator<RecordOf<'checkpoint'>> {
  const { step, kept } = run;
  const { checkpoint_steps: steps, checkpoint_seconds: seconds } = run.options.training;
  // Jobs of earlier versions have no checkpoint_seconds; the comparison with NaN is then false.
  if (step % steps === 0 || performance.now() - kept.at >= seconds * 1000) yield* checkpoint(run);
}

/** Writes a checkpoint, unless one of this step exists already. */
export async function* checkpoint(run: TrainingRun): AsyncGenerator<RecordOf<'checkpoint'>> {
  const { step, trainedTokens, built, identity, log, options } = run;
  if (!options.checkpoints || step === run.kept.step) return;
  const state = built.program.read([...built.state]) as Map<string, Float32Array>;
  if (run.bestAdapter && run.best.best?.step !== step) state.set(BEST_ADAPTER, run.bestAdapter);
  const written = await writeCheckpoint(
    options.checkpoints.dir,
    { step, trainedTokens, state, series: log.series, references: run.references },
    built.model.layout,
    identity,
  );
  run.kept = { step, at: performance.now() };
  yield { type: 'checkpoint', step, ...written };
}

/** Measures the model to publish, unless the last measurement is of it, and writes the adapter's files. */
export async function finishRun(run: TrainingRun): Promise<RecordOf<'done'>> {
  const { options, setup, measuring, built, trainedTokens, finalLoss } = run;
  const publishedStep = publishedStepOf(run);
  if (publishedStep !== run.step) {
    await built.program.write([['adapter', run.bestAdapter!]]);
    run.measurement = null;
  } else if (options.training.ema_decay !== undefined) await holdAverage(run);
  if (measuring) run.measurement ??= evaluate(built, measuring, setup.layout);
  const { measurement } = run;
  const verified = options.verify && measuring && measurement ? verifiedLoss(run, measurement) : null;
  const validation = validationOf(run);
  const files = await writeFiles(run, options.outputDir, publishedStep);
  return {
    type: 'done',
    adapterDir: options.outputDir,
    steps: run.step,
    publishedStep,
    totalSteps: run.plan.steps,
    trainedTokens,
    finalLoss,
    validationLoss: validation?.loss ?? null,
    best: bestOf(run),
    evaluationsWithoutGain: run.best.evaluationsWithoutGain,
    metrics: validation?.metrics ?? {},
    verification:
      verified !== null && measuring
        ? { loss: verified, examples: measuring.examples.length, measuredOn: measuring.measuredOn }
        : null,
    peakMemoryBytes: peakMemory(),
    files,
  };
}

/** The loss that `verifyAdapter` has to find. It has no reference to compare with. */
function verifiedLoss(run: TrainingRun, measurement: Measurement): number {
  const { built, setup, measuring } = run;
  if (!setup.needsReference) return measurement.loss;
  const examples = measuring!.examples.map(({ reference: _, ...example }) => example);
  return evaluate(built, { ...measuring!, examples }, setup.layout).loss;
}

/** The step whose adapter the run would publish if it ended now. */
function publishedStepOf({ options, best, step }: TrainingRun): number {
  return (options.training.load_best_model_at_end && best.best?.step) || step;
}

function bestOf({ best }: TrainingRun): BestEvaluation | null {
  return best.best && { metric: best.metric, ...best.best };
}

/** The last evaluation on validation examples. */
function validationOf({ measuring, measurement }: TrainingRun): Measurement | null {
  return measuring?.measuredOn === 'validation' ? measurement : null;
}

const finite = (loss: number | undefined) => (Number.isFinite(loss) ? loss! : null);

/** Writes the files of the adapter that the program holds, which is that of `step`. */
async function writeFiles(run: TrainingRun, folder: string, step: number): Promise<WrittenFile[]> {
  const { options, setup, built, log, baseDigest } = run;
  const { tokens, loss } = log.series.train;
  const { files } = await writeAdapter(folder, {
    peft: built.model.attachment?.written ?? options.peft,
    baseModelNameOrPath: options.baseModelName,
    tensors: await adapterTensorsToSave(built, options.base),
    baseConfig: setup.config,
    baseDigest,
    labels: setup.data.labels,
    chatTemplate: options.training.chat_template ?? null,
    sentencePrompts: setup.sentencePrompts,
    card: {
      steps: step,
      trainedTokens: tokens[step - 1]!,
      finalLoss: loss[step - 1]!,
      validationLoss: validationOf(run)?.loss ?? null,
      quantised: isQuantised(options.training.base_dtype)
        ? {
            base_dtype: options.training.base_dtype,
            quantised_validation_loss: finite(validationOf(run)?.loss),
            validation_loss: null,
          }
        : null,
      trials: options.trials ?? null,
      templateKwargs: options.training.chat_template_kwargs ?? null,
      ...(setup.layout.classes ? { severalLabels: true } : {}),
    },
  });
  return files;
}

/**
 * Runs `body` while the program holds the adapter that is measured and published: with `ema_decay` the average over all steps so far,
 * not the adapter of the last step. Restores the state of training afterwards.
 */
async function withResult<T>(run: TrainingRun, body: () => T | Promise<T>): Promise<T> {
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
async function holdAverage({ built: { program } }: TrainingRun): Promise<void> {
  const average = (program.read([AVERAGE]).get(AVERAGE) as Float32Array).slice();
  await program.write([['adapter', average]]);
}
