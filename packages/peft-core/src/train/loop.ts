import { createHash } from 'node:crypto';
import { GraftError } from '../errors.ts';
import { writeAdapter } from '../files.ts';
import { adapterTensorsToSave } from '../peft-model/adapter-values.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { loadWeights } from '../weights/load-weights.ts';
import { baseStorage } from '../weights/stored-weights.ts';
import { type CheckpointState, readNewestCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { evaluate, type Measurement, measuredExamples } from './evaluation.ts';
import { planMeasuring, planTraining } from './plan.ts';
import { effectivePrecision } from './precision.ts';
import type { TrainOptions, TrainRecord } from './records.ts';
import { runStep } from './run-step.ts';
import { setUpTraining } from './setup.ts';
import { startValues } from './start-values.ts';
import { StepClock } from './step-clock.ts';
import { buildTrainProgram, GRAPH_OPTIONS, STATE } from './train-program.ts';
import { WarmModel } from './warm-model.ts';

/** Changes when a new version of this code would not continue an old checkpoint bit for bit. */
const CODE_VERSION = 'train-1';

/**
 * Trains an adapter, telling of each step. The same inputs and seed give the same adapter bit for bit, also when the run is
 * ended at any step and resumed from its checkpoint. Each step blocks the calling thread while TensorFlow computes.
 *
 * Throws GraftError: the data's faults (`invalid_jsonl`, `example_too_long`, …), `unsupported_model`,
 * `target_modules_not_found`, `training_diverged` when a loss is not a number.
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainRecord> {
  const { base, peft, training, checkpointDir = null, signal } = options;
  const { architecture, config, data, objective, layout } = await setUpTraining(options);
  const plan = planTraining(data.training, training, layout);
  const measured = measuredExamples(data, options.verify ?? false);
  const evaluation = measured ? planMeasuring(measured.examples, training, layout) : null;

  const precision = effectivePrecision(training.precision);
  const storage = baseStorage(training.base_dtype, precision);
  const baseDigest = await base.digest();
  // An adapter's files hold what an encoder gave, not the encoder.
  const form = options.initialAdapter ? 'folded' : 'trained';
  const programKey = digestOf({
    baseDigest,
    peft,
    form,
    objective,
    labels: data.labels,
    shape: plan.shape,
    evaluation: evaluation?.shape ?? null,
    storage,
    precision,
    // The rest of `training` is fed to each step, so jobs that differ in it share a program.
    options: GRAPH_OPTIONS.map((name) => training[name]),
  });
  const warm = options.warm ?? new WarmModel();
  let held = warm.take(programKey);
  if (!held) {
    held = buildTrainProgram({
      architecture,
      objective,
      peft,
      form,
      training,
      storage,
      precision,
      grid: plan.shape,
      evaluationGrid: evaluation?.shape ?? null,
    });
    await loadWeights(held.program, base, architecture, storage);
    warm.keep(programKey, held);
  }
  const { program, model } = held;

  try {
    const identity = digestOf({
      version: CODE_VERSION,
      base: baseDigest,
      data: data.digest,
      tokenizer: base.tokenizerFiles,
      peft,
      training,
      initial: options.initialAdapter ?? options.initialParameters ?? null,
    });
    const resumed =
      options.resume && checkpointDir
        ? await readNewestCheckpoint(checkpointDir, model.layout, identity)
        : null;
    const zeros = () => new Float32Array(model.layout.size);
    const start: CheckpointState = resumed ?? {
      step: 0,
      trainedTokens: 0,
      microStep: 0,
      adapter: await startValues(model, base, { ...options, seed: training.seed }),
      exp_avg: zeros(),
      exp_avg_sq: zeros(),
    };
    await program.write(STATE.map((name) => [name, start[name]]));
    if (training.gradient_accumulation_steps > 1) await program.write([['gradient_sum', zeros()]]);

    const count = (parameters: { shape: number[] }[]) =>
      parameters.reduce((sum, p) => sum + elementCount(p.shape), 0);
    yield {
      type: 'start',
      trainableParameters: model.layout.size,
      totalParameters: count(architecture.parameters) + model.layout.size,
      totalSteps: plan.steps,
      examples: data.training.length,
      tokensPerEpoch: data.training.reduce((sum, { tokens }) => sum + tokens, 0),
      paddingFraction: plan.stats.paddingFraction,
      resumedFrom: resumed?.step ?? null,
      precision,
    };

    const clock = new StepClock();
    let trainedTokens = start.trainedTokens;
    let finalLoss = Number.NaN;
    let measurement: Measurement | null = null;
    const checkpoint = async (step: number) => {
      const state = program.read([...STATE]) as Map<(typeof STATE)[number], Float32Array>;
      const [adapter, exp_avg, exp_avg_sq] = STATE.map((name) => state.get(name)!);
      const saved = {
        step,
        trainedTokens,
        microStep: 0,
        adapter: adapter!,
        exp_avg: exp_avg!,
        exp_avg_sq: exp_avg_sq!,
      };
      return writeCheckpoint(checkpointDir!, saved, model.layout, identity);
    };

    for (let step = start.step; step < plan.steps; step++) {
      if (signal?.aborted) {
        if (checkpointDir && step > 0) yield { type: 'checkpoint', step, dir: await checkpoint(step) };
        yield { type: 'stopped', step };
        return;
      }
      const began = performance.now();
      const result = runStep(held, plan, data.training, layout, training, step);
      trainedTokens += result.tokens;
      finalLoss = result.loss;
      clock.add(result.tokens, (performance.now() - began) / 1000);
      if (!Number.isFinite(result.loss) || !Number.isFinite(result.gradNorm)) {
        throw new GraftError(
          'training_diverged',
          `the loss of step ${step + 1} is not a number; try a smaller learning rate`,
          { param: 'training.learning_rate' },
        );
      }
      const done = step + 1;
      yield {
        type: 'step',
        step: done,
        totalSteps: plan.steps,
        epoch: plan.epochAt(step),
        loss: result.loss,
        tokenAccuracy: result.accuracy,
        learningRate: result.learningRate,
        gradNorm: result.gradNorm,
        tokens: trainedTokens,
        tokensPerSecond: clock.tokensPerSecond(),
        secondsRemaining: clock.secondsPerStep() * (plan.steps - done),
      };
      const last = done === plan.steps;
      const due = last || done % training.eval_steps === 0;
      if (evaluation && measured?.measuredOn === 'validation' && due) {
        measurement = evaluate(held, evaluation, measured.examples, layout);
        yield { type: 'evaluation', step: done, ...measurement };
      }
      if (checkpointDir && !last && done % training.checkpoint_steps === 0) {
        yield { type: 'checkpoint', step: done, dir: await checkpoint(done) };
      }
    }
    // The last checkpoint comes before the files: a crash while they are written loses nothing.
    if (checkpointDir) yield { type: 'checkpoint', step: plan.steps, dir: await checkpoint(plan.steps) };
    if (evaluation && measured) measurement ??= evaluate(held, evaluation, measured.examples, layout);
    const validation = measured?.measuredOn === 'validation' ? measurement : null;
    const validationLoss = validation?.loss ?? null;

    const { files } = await writeAdapter(options.outputDir, {
      peft: model.attachment!.written ?? peft,
      baseModelNameOrPath: options.baseModelName,
      taskType: peft.task_type,
      tensors: await adapterTensorsToSave(model, program, base),
      baseConfig: config,
      baseDigest,
      labels: data.labels,
      card: { steps: plan.steps, trainedTokens, finalLoss, validationLoss },
    });
    yield {
      type: 'done',
      adapterDir: options.outputDir,
      steps: plan.steps,
      trainedTokens,
      finalLoss,
      validationLoss,
      metrics: validation?.metrics ?? {},
      verification:
        options.verify && measured && measurement
          ? { loss: measurement.loss, examples: measured.examples.length, measuredOn: measured.measuredOn }
          : null,
      peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
      files,
    };
  } catch (error) {
    // After a fault nothing is known of the session's state: the next job starts from a clean one.
    warm.close();
    throw error;
  } finally {
    if (!options.warm) warm.close();
  }
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
