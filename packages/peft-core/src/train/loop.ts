import { rm } from 'node:fs/promises';
import path from 'node:path';
import { tokensPerEpoch } from '../examples/index.ts';
import type { WrittenFile } from '../files.ts';
import { countOf } from '../tuners/file-tensors.ts';
import { constantParameters } from '../tuners/trained-parameters.ts';
import { adviceOf } from './advice/advice.ts';
import type { Finding } from './advice/curve-watch.ts';
import { sharingOf } from './advice/sharing.ts';
import { systemCode } from './checkpoints/durable-files.ts';
import { folderOfStep } from './checkpoints/manifest.ts';
import { BEST_ADAPTER, writeCheckpoint } from './checkpoints/write-checkpoint.ts';
import { evaluate } from './evaluation.ts';
import { bestOf, finishRun, publishedStepOf, validationOf, writeFiles } from './finish-run.ts';
import { inputPassOf, startFromInputs } from './input-pass/input-pass.ts';
import { resetPeakMemory } from './machine/peak-memory.ts';
import { meetRequirements } from './machine/requirements.ts';
import { openRun, type TrainingRun } from './open-run.ts';
import { effectivePrecision } from './precision.ts';
import type { RecordOf, TrainOptions, TrainRecord } from './records.ts';
import {
  computeReferences,
  decideRate,
  needsReference,
  type ReferenceProgress,
  referencedExamples,
  setReferences,
} from './reference.ts';
import { runStep } from './run-step.ts';
import { setUpTraining } from './setup.ts';
import { stateOf } from './train-program.ts';
import { withResult } from './update/average.ts';
import { WarmModel } from './warm-model.ts';

/**
 * Trains an adapter and yields a record of each step. The same inputs and seed give the same adapter bit for bit, also when the
 * run stops at any step and is resumed from its checkpoint. Each step blocks the calling thread while TensorFlow computes.
 *
 * Throws GraftError: faults of the data (`invalid_jsonl`, `example_too_long`, …), `unsupported_model`,
 * `target_modules_not_found`, `training_diverged` when a loss is not a number; and faults of the environment:
 * `checkpoint_unreadable`, `checkpoint_unwritable`, `requirements_not_met`.
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainRecord> {
  const { training, signal } = options;
  resetPeakMemory();
  meetRequirements(options.requirements, effectivePrecision(training.precision));
  // Before the `try`: faults of the data must not close the warm model.
  const setup = await setUpTraining(options);
  const warm = options.warm ?? new WarmModel();
  try {
    const run = await openRun(options, setup, warm);
    const { plan } = run;
    const end = Math.min(plan.steps, options.until ?? plan.steps);
    yield startRecord(run);
    yield* readInputs(run);
    yield* compareWithReference(run);
    yield* advice(run, run.found);

    // A resumed run may have run out of patience already, if its process ended before it had written the files.
    while (run.step < end && !run.best.isPatienceLost) {
      if (signal?.aborted) {
        yield* checkpoint(run);
        yield { type: 'stopped', step: run.step };
        return;
      }
      const measured = runStep(run);
      yield measured;
      yield* advice(run, run.watch.takeStep(measured));
      const last = run.step === plan.steps;
      const isEvaluated = last || run.step % training.eval_steps === 0;
      if (isEvaluated) yield* evaluation(run);
      if (isSnapshotDue(run, isEvaluated)) yield await takeSnapshot(run);
      if (!last && isCheckpointDue(run)) yield* checkpoint(run);
    }

    // The last checkpoint is written before the adapter's files, so a crash while they are written loses nothing.
    yield* checkpoint(run);
    if (options.until !== undefined) {
      yield { type: 'stopped', step: run.step };
      return;
    }
    yield await finishRun(run);
  } catch (error) {
    // After a fault the state of the session is unknown: the next job starts with a new one.
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
  log,
}: TrainingRun): RecordOf<'start'> {
  const { architecture, data } = setup;
  const { layout, peft } = built.model;
  const trainableParameters = layout.size - constantParameters(peft!, architecture);
  return {
    type: 'start',
    trainableParameters,
    totalParameters: countOf(architecture.parameters) + trainableParameters,
    totalSteps: plan.steps,
    examples: data.training.length,
    tokensPerEpoch: tokensPerEpoch(data),
    paddingFraction: plan.stats.paddingFraction,
    resumedFrom,
    passedOver,
    precision,
    series: resumedFrom === null ? null : log.series,
    sharing: sharingOf(plan.stats, setup.whyNotShared),
  };
}

/** Milliseconds between records of a pass before the first step. */
const REPORT_MS = 1000;

/** Sets the start values that come from the inputs of layers. A checkpoint has them, and so do an adapter's files. */
async function* readInputs(run: TrainingRun): AsyncGenerator<RecordOf<'inputs'>> {
  const pass = inputPassOf(run);
  const { initialAdapter, initialParameters } = run.options;
  if (!pass || run.resumedFrom !== null || initialAdapter || initialParameters) return;
  const values = yield* whileReported(run, startFromInputs(run, pass), ({ done, of }, ended) => ({
    type: 'inputs' as const,
    done,
    of,
    ended,
  }));
  if (!values) return;
  const flat = adapterOf(run).slice();
  const parameters = run.built.model.layout.views(flat);
  for (const [name, own] of values) parameters.get(name)!.data.set(own);
  await run.built.program.write([['adapter', flat]]);
}

/** Runs a pass and reports its progress from time to time, and at its end. Returns null if the job is to stop: the loop ends before its first step. */
function* whileReported<Progress, Report, Result>(
  { options: { signal } }: TrainingRun,
  pass: Generator<Progress, Result>,
  report: (progress: Progress, ended: boolean) => Report,
): Generator<Report, Result | null> {
  let said = performance.now();
  let last: Progress | null = null;
  for (;;) {
    const next = pass.next();
    if (next.done) {
      if (last !== null) yield report(last, true);
      return next.value;
    }
    if (signal?.aborted) return null;
    // The last progress is reported when the pass has ended.
    if (last !== null && performance.now() - said >= REPORT_MS) {
      said = performance.now();
      yield report(last, false);
    }
    last = next.value;
  }
}

/** Gives examples the reference that preference training compares them with. */
function* compareWithReference(run: TrainingRun): Generator<RecordOf<'reference'>> {
  if (!needsReference(run)) return;
  const examples = referencedExamples(run.setup);
  let last: ReferenceProgress | null = null;
  if (!run.references) {
    const reported = whileReported(run, computeReferences(run, examples), (progress, ended) => ({
      progress,
      ended,
    }));
    for (;;) {
      const next = reported.next();
      if (next.done) {
        run.references = next.value;
        break;
      }
      const { progress, ended } = next.value;
      if (ended) last = progress;
      else yield { type: 'reference', ...progress };
    }
    if (!run.references) return;
  }
  setReferences(examples, run.references);
  const { training } = run.options;
  const decided = decideRate(training, examples);
  if (decided?.isKnown)
    run.options = {
      ...run.options,
      training: { ...training, learning_rate: training.learning_rate_if_known! },
    };
  if (last) yield { type: 'reference', ...last, ...(decided && { decided }) };
}

/** Measures the model on the validation examples, if there are any. */
async function* evaluation(run: TrainingRun): AsyncGenerator<RecordOf<'evaluation' | 'advice'>> {
  const { built, setup, measuring, step } = run;
  if (measuring?.measuredOn !== 'validation') return;
  const measurement = await withResult(run, () => {
    const measured = evaluate(built, measuring.plan, measuring, setup.layout);
    const isBest = run.best.take({ step, ...measured });
    if (isBest && run.options.training.load_best_model_at_end) run.bestAdapter = adapterOf(run).slice();
    return measured;
  });
  run.measurement = measurement;
  run.log.addEvaluation({ step, ...measurement });
  yield { type: 'evaluation', step, ...measurement };
  yield* advice(run, run.watch.takeEvaluation(measurement));
}

function* advice({ options, plan, setup }: TrainingRun, findings: Finding[]): Generator<RecordOf<'advice'>> {
  const { stepsPerEpoch } = plan;
  const run = {
    stepsPerEpoch,
    model: setup.architecture,
    objective: setup.objective,
    continues: Boolean(options.initialAdapter),
  };
  for (const finding of findings)
    yield { type: 'advice', ...adviceOf(finding, options.peft, options.training, run) };
}

function adapterOf({ built }: TrainingRun): Float32Array {
  return built.program.read(['adapter']).get('adapter') as Float32Array;
}

function isCheckpointDue({ step, kept, options: { training } }: TrainingRun): boolean {
  // Jobs of earlier versions have no checkpoint_seconds; the comparison with NaN is then false.
  return (
    step % training.checkpoint_steps === 0 ||
    performance.now() - kept.at >= training.checkpoint_seconds * 1000
  );
}

/** Writes a checkpoint, unless one of this step exists already. */
async function* checkpoint(run: TrainingRun): AsyncGenerator<RecordOf<'checkpoint'>> {
  const { step, trainedTokens, built, identity, log, options } = run;
  if (!options.checkpoints || step === run.kept.step) return;
  const state = built.program.read([...stateOf(options.training)]) as Map<string, Float32Array>;
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
 * Writes the files of the current adapter as `finishRun` would if the run ended here. A storage fault loses the snapshot, but does not
 * end the run.
 */
async function takeSnapshot(run: TrainingRun): Promise<RecordOf<'snapshot' | 'snapshot_lost'>> {
  const { step, options, log, trainedTokens, finalLoss } = run;
  const dir = path.join(options.snapshotDir!, folderOfStep(step));
  let files: WrittenFile[];
  try {
    files = await withResult(run, async () => await writeFiles(run, dir, step));
  } catch (error) {
    await rm(dir, { recursive: true, force: true }).catch(() => {});
    const reason = systemCode(error);
    if (reason === null) throw error;
    return { type: 'snapshot_lost', step, reason };
  }
  const validation = validationOf(run);
  const accuracy = log.series.train.tokenAccuracy[step - 1]!;
  return {
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
