import { type BatchPlan, tokensPerEpoch } from '../examples/index.ts';
import { countOf } from '../tuners/file-tensors.ts';
import { constantParameters } from '../tuners/trained-parameters.ts';
import { adviceOf } from './advice/advice.ts';
import { BEST_ADAPTER, writeCheckpoint } from './checkpoints/write-checkpoint.ts';
import { evaluation, finishRun, snapshot } from './finish-run.ts';
import { readInputs } from './input-pass/input-pass.ts';
import { resetPeakMemory } from './machine/peak-memory.ts';
import { meetRequirements } from './machine/requirements.ts';
import { openRun, type TrainingRun } from './open-run.ts';
import type { RecordOf, TrainOptions, TrainRecord } from './records.ts';
import { compareWithReference } from './reference.ts';
import type { Sharing } from './reports.ts';
import { runStep } from './run-step.ts';
import { setUpTraining } from './setup.ts';
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
  meetRequirements(options.requirements, training.precision);
  // Before the `try`: faults of the data must not close the warm model.
  const setup = await setUpTraining(options);
  const warm = options.warm ?? new WarmModel();
  try {
    const run = await openRun(options, setup, warm);
    const { plan } = run;
    const end = Math.min(plan.steps, options.until ?? plan.steps);
    yield startRecord(run);
    yield* reported(readInputs(run), signal);
    yield* reported(compareWithReference(run), signal);
    yield* advice(run);

    // A resumed run may have run out of patience already, if its process ended before it had written the files.
    while (run.step < end && !run.best.isPatienceLost) {
      if (signal?.aborted) {
        yield* checkpoint(run);
        yield { type: 'stopped', step: run.step };
        return;
      }
      const measured = runStep(run);
      yield measured;
      run.found.push(...run.watch.takeStep(measured));
      yield* advice(run);
      const last = run.step === plan.steps;
      const isEvaluated = last || run.step % training.eval_steps === 0;
      if (isEvaluated) yield* evaluation(run);
      yield* advice(run);
      yield* snapshot(run, isEvaluated);
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

function startRecord({ setup, plan, built, resumedFrom, passedOver, log }: TrainingRun): RecordOf<'start'> {
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
    precision: setup.computation.precision,
    series: resumedFrom === null ? null : log.series,
    sharing: sharingOf(plan.stats, setup.whyNotShared),
  };
}

/** Describes prefix sharing in the plan of a whole run. `whyNot`: the reason that prevents sharing; null where prefixes are shared. */
function sharingOf(
  { sequences, positions, savedPositions }: BatchPlan['stats'],
  whyNot: string | null,
): Sharing {
  const beginnings = 'What the examples of a batch begin with in common';
  if (whyNot !== null) return { savedFraction: 0, message: `${beginnings} is not shared: ${whyNot}.` };
  if (savedPositions === 0)
    return { savedFraction: 0, message: `${beginnings} would be computed once, but it is too little.` };
  const each = (count: number) => Math.round(count / sequences).toLocaleString('en-US');
  return {
    savedFraction: savedPositions / positions,
    message: `${beginnings} is computed once, which saves ${each(savedPositions)} of ${each(positions)} tokens a sequence.`,
  };
}

/** Milliseconds between records of a pass before the first step. */
const REPORT_MS = 1000;

/** The progress of a pass, from time to time, and its last record. Drops the rest of the pass if the job is to stop: the loop ends before its first step. */
async function* reported<Progress extends RecordOf<'inputs' | 'reference'>>(
  pass: AsyncGenerator<Progress> | Generator<Progress>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Progress> {
  let said = performance.now();
  for await (const record of pass) {
    const isLast = record.type === 'inputs' ? record.ended : record.done === record.of;
    if (!isLast && signal?.aborted) return;
    if (!isLast && performance.now() - said < REPORT_MS) continue;
    said = performance.now();
    yield record;
  }
}

/** Advice for the findings since the last call. */
function* advice({ options, plan, setup, found }: TrainingRun): Generator<RecordOf<'advice'>> {
  const { stepsPerEpoch } = plan;
  const run = {
    stepsPerEpoch,
    model: setup.architecture,
    objective: setup.objective,
    continues: Boolean(options.initialAdapter),
  };
  for (const finding of found.splice(0))
    yield { type: 'advice', ...adviceOf(finding, options.peft, options.training, run) };
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
