import { type BatchPlan, tokensPerEpoch } from '../examples/index.ts';
import { countOf } from '../tuners/file-tensors.ts';
import { constantParameters } from '../tuners/trained-parameters.ts';
import { advice } from './advice/advice.ts';
import { checkpoint, dueCheckpoint, evaluation, finishRun, snapshot } from './finish-run.ts';
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
    yield* reported(firstPasses(run), signal);
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
      if (!last) yield* dueCheckpoint(run);
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

/** The passes over the data before the first step. */
async function* firstPasses(run: TrainingRun): AsyncGenerator<RecordOf<'inputs' | 'reference'>> {
  yield* readInputs(run);
  yield* compareWithReference(run);
}

/** The progress of passes, from time to time, and the last record of each. Drops what is left of them if the job is to stop: the loop ends before its first step. */
async function* reported(
  passes: ReturnType<typeof firstPasses>,
  signal: AbortSignal | undefined,
): ReturnType<typeof firstPasses> {
  let said = performance.now();
  for await (const record of passes) {
    const isLast = record.type === 'inputs' ? record.ended : record.done === record.of;
    if (!isLast && signal?.aborted) return;
    if (!isLast && performance.now() - said < REPORT_MS) continue;
    said = performance.now();
    yield record;
  }
}
